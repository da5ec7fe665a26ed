"""What a picture says, read back from its axes."""


def labels(ax):
    return [line.get_label() for line in ax.lines if not line.get_label().startswith("_")]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def tick_labels(ax):
    """The labels inside the axis, as they are drawn."""
    ax.figure.canvas.draw()
    low, high = sorted(ax.get_xlim())
    ticks = zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
    return [text.get_text() for place, text in ticks if low <= place <= high]
