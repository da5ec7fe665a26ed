"""Keras layers for time series. They use `keras.ops` only, so they run on every Keras backend."""

from tfts.layers.attention_decoder import AttentionDecoder
from tfts.layers.category_embedding import CategoryEmbedding
from tfts.layers.linear_interpolation import LinearInterpolation
from tfts.layers.lstm import LSTM
from tfts.layers.lstm_decoder import LSTMDecoder
from tfts.layers.multi_head_attention import MultiHeadAttention
from tfts.layers.patches import Patches
from tfts.layers.position_embedding import PositionEmbedding
from tfts.layers.reversible_instance_norm import ReversibleInstanceNorm
from tfts.layers.scaled_dot_product_attention import ScaledDotProductAttention
from tfts.layers.segment_gru import SegmentGRU
from tfts.layers.segments import Segments
from tfts.layers.self_attention import SelfAttention
from tfts.layers.series_decomposition import SeriesDecomposition
from tfts.layers.window_spread import WindowSpread

__all__ = [
    "AttentionDecoder",
    "CategoryEmbedding",
    "LSTM",
    "LSTMDecoder",
    "LinearInterpolation",
    "MultiHeadAttention",
    "Patches",
    "PositionEmbedding",
    "ReversibleInstanceNorm",
    "ScaledDotProductAttention",
    "SegmentGRU",
    "Segments",
    "SelfAttention",
    "SeriesDecomposition",
    "WindowSpread",
]
