"""A folder like the `data` of GoEmotions, with some sentences of our own."""

from pathlib import Path

from models.emotions import EMOTIONS

TEST = (
    "I am so happy that you came!\tjoy\n"
    "Thank you so much for the present.\tgratitude\n"
    "I'm scared of the dark.\tfear\n"
    "I love you, and I am sad that you leave.\tlove,sadness\n"
    "The bus leaves at eight.\tneutral\n"
    "What does that mean?\tcuriosity\n"
)


def write_goemotions(folder: Path, **splits: str) -> None:
    """Write `labels.txt` and the given splits, as they would stand in their .tsv files."""
    (folder / "labels.txt").write_text("\n".join(EMOTIONS) + "\n", encoding="utf-8")
    for split, content in splits.items():
        (folder / f"{split}.tsv").write_text(content, encoding="utf-8")


def small_test_split() -> str:
    """TEST with the numbers of its labels, and ids."""
    lines = []
    for number, line in enumerate(TEST.splitlines()):
        text, names = line.split("\t")
        lines.append(f"{text}\t{','.join(str(EMOTIONS.index(name)) for name in names.split(','))}\tid{number}\n")
    return "".join(lines)
