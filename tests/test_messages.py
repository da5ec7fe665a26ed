from tfts._messages import unknown


def test_the_nearest_name_is_offered():
    message = unknown("model", "lstm_atention", ["lstm_attention", "linear"])
    assert message == (
        "Unknown model 'lstm_atention'. Expected one of: linear, lstm_attention. "
        "Did you mean 'lstm_attention'?"
    )


def test_nothing_is_offered_when_nothing_is_near():
    assert unknown("scaler", 7, ["robust", "none"]) == "Unknown scaler 7. Expected one of: none, robust."
