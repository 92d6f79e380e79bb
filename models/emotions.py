"""The words for feelings: the 28 labels of GoEmotions and the groups that its paper puts them in.

From Demszky et al., "GoEmotions: A Dataset of Fine-Grained Emotions" (ACL 2020): the order is that of the published
`labels.txt`, the groups that of `ekman_mapping.json`. Who feels how much of them is for `models.encoder`.
"""

from collections.abc import Mapping
from types import MappingProxyType

EMOTIONS: tuple[str, ...] = (
    "admiration",
    "amusement",
    "anger",
    "annoyance",
    "approval",
    "caring",
    "confusion",
    "curiosity",
    "desire",
    "disappointment",
    "disapproval",
    "disgust",
    "embarrassment",
    "excitement",
    "fear",
    "gratitude",
    "grief",
    "joy",
    "love",
    "nervousness",
    "optimism",
    "pride",
    "realization",
    "relief",
    "remorse",
    "sadness",
    "surprise",
    "neutral",
)
"""The labels, in the order of every vector of emotions in Familiar."""

EKMAN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "anger": ("anger", "annoyance", "disapproval"),
        "disgust": ("disgust",),
        "fear": ("fear", "nervousness"),
        "joy": (
            "admiration",
            "amusement",
            "approval",
            "caring",
            "desire",
            "excitement",
            "gratitude",
            "joy",
            "love",
            "optimism",
            "pride",
            "relief",
        ),
        "sadness": ("disappointment", "embarrassment", "grief", "remorse", "sadness"),
        "surprise": ("confusion", "curiosity", "realization", "surprise"),
        "neutral": ("neutral",),
    }
)
"""Ekman's six basic emotions and neutral, each with its labels of GoEmotions; every label is in exactly one."""
