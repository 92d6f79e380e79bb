"""Pairs of memories about the same thing in opposite moods, and what is said about it now in either mood.

For `familiar eval recall --pairs`: whoever is sad about the dog shall be reminded of the sad day with the dog, not of
the happy one. The first half is written by hand, and there meaning alone often tells. The second half is made of
templates and crossed: what is said now names the place or the time of the memory in the other mood, so that words and
meaning speak for the wrong one. Our own words.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MoodPair:
    """`pleasant` and `unpleasant` are memories; what is said now in either mood is `glad` and `upset`."""

    topic: str
    pleasant: str
    unpleasant: str
    glad: str
    upset: str


def _written(topic: str, pleasant: str, unpleasant: str, glad: str, upset: str) -> MoodPair:
    return MoodPair(topic=topic, pleasant=pleasant, unpleasant=unpleasant, glad=glad, upset=upset)


_WRITTEN = (
    _written(
        "dog",
        "My dog learned to shake hands and I was so proud of him!",
        "My dog ran away in the storm and I cried all evening.",
        "I'm so happy, I want to talk about my dog!",
        "I feel sad when I think of my dog.",
    ),
    _written(
        "school",
        "We painted the classroom at school today and it was wonderful!",
        "Some kids at school laughed at me and it hurt so much.",
        "School was great today, I love it!",
        "I hate school, I'm so upset.",
    ),
    _written(
        "grandma",
        "Grandma baked a cake with me and we giggled the whole time, I love her.",
        "Grandma is in the hospital and I'm worried about her.",
        "I had the best day with grandma!",
        "I'm so sad about grandma.",
    ),
    _written(
        "swimming",
        "I jumped from the high board in the pool and it was awesome!",
        "I swallowed water in the pool and I was terrified.",
        "Swimming in the pool makes me so happy!",
        "I'm scared of the pool.",
    ),
    _written(
        "brother",
        "My brother let me win at chess, he is so sweet!",
        "My brother broke my robot and I'm furious with him.",
        "My brother is the best, I love him!",
        "I'm so angry at my brother!",
    ),
    _written(
        "birthday",
        "Everybody sang at my birthday and I got a telescope, amazing!",
        "Nobody came to my birthday and I was so lonely.",
        "I'm excited about my birthday!",
        "My birthday makes me sad.",
    ),
    _written(
        "football",
        "I scored two goals at football and everyone cheered, I was so happy!",
        "I missed the penalty at football and I was so disappointed.",
        "Football is so much fun, I love it!",
        "I'm so disappointed about football.",
    ),
    _written(
        "night",
        "We watched the stars at night and it was so beautiful.",
        "There was a noise at night and I was frightened.",
        "I love the night!",
        "I'm afraid of the night.",
    ),
    _written(
        "doctor",
        "The doctor was so kind and gave me a sticker, thank you doctor!",
        "The doctor gave me a shot and it was horrible, I was so scared.",
        "I'm glad about going to the doctor!",
        "I'm afraid of the doctor.",
    ),
    _written(
        "cat",
        "My cat slept on my lap and purred, I love her so much.",
        "My cat was hit by a car and died, I miss her terribly.",
        "I'm so happy with my cat!",
        "I'm so sad about my cat.",
    ),
    _written(
        "dinner",
        "Dinner was delicious, we made pizza together, yummy!",
        "Dinner was disgusting, the fish made me feel sick.",
        "I love dinner, it is great!",
        "Dinner is gross, I hate it!",
    ),
    _written(
        "train",
        "We took the train to the mountains and it was the best trip ever!",
        "We got lost at the train station and I was scared to death.",
        "I'm so excited about the train!",
        "The train makes me nervous, I'm scared.",
    ),
    _written(
        "friend",
        "Leo shared his crayons with me, I'm so grateful he is my friend.",
        "Leo said he isn't my friend any more and I feel awful.",
        "I love my friend Leo!",
        "I'm so sad because of Leo.",
    ),
    _written(
        "music",
        "I played my first song on the piano and everybody clapped, I was proud!",
        "My piano teacher yelled at me and I was ashamed and angry.",
        "I'm so happy about the piano!",
        "The piano makes me angry, I hate it.",
    ),
    _written(
        "garden",
        "Our sunflowers in the garden are taller than dad, how amazing!",
        "A wasp stung me in the garden and it was horrible.",
        "I love being in the garden, it is wonderful!",
        "I'm scared of the garden.",
    ),
    _written(
        "moving",
        "My new room in the new house is awesome, I can see the lake!",
        "I had to leave all my friends when we moved to the new house and I miss them so much.",
        "I'm so happy about the new house!",
        "The new house makes me sad.",
    ),
    _written(
        "baby",
        "The baby smiled at me for the first time and I love her!",
        "The baby screams all night and it is so annoying, I'm mad.",
        "I'm so glad we have the baby!",
        "I'm angry about the baby.",
    ),
    _written(
        "snow",
        "We built a huge snowman in the snow and laughed so much!",
        "I slipped in the snow and broke my arm, it was awful.",
        "Snow makes me so happy!",
        "I hate the snow, it is terrible.",
    ),
    _written(
        "homework",
        "I finished my homework all by myself and mum was so proud of me!",
        "I couldn't do my homework and I was so frustrated and sad.",
        "Homework was great today, I'm so pleased!",
        "I'm so upset about my homework.",
    ),
    _written(
        "zoo",
        "At the zoo a giraffe licked my hand, it was so funny and amazing!",
        "At the zoo I lost mum in the crowd and I was terrified.",
        "The zoo is wonderful, I love it!",
        "I'm scared of going to the zoo.",
    ),
)

_TOPICS = (
    "bike", "kite", "teacher", "teddy", "swing", "ballet class", "tree house", "hamster", "camp", "cousin",
    "drawing", "boat", "guitar", "aunt", "beach", "puppet", "horse", "library", "tent", "neighbour",
)  # fmt: skip
_CIRCUMSTANCES = (
    "after lunch", "at the party", "in the morning", "behind our house", "on the way home",
    "in the park", "with dad", "on Sunday", "in the rain", "at noon",
)  # fmt: skip
_PLEASANT = (
    "I had so much fun with the {0} today, it was wonderful!",
    "I'm so proud of the {0}, everybody loved it!",
    "The {0} made me laugh, I was so happy!",
    "Thank you for the {0}, it is the best present ever!",
)
_UNPLEASANT = (
    "I cried because of the {0}, it was so sad.",
    "I was really angry about the {0}, it was so unfair!",
    "The {0} frightened me and I was so scared.",
    "Something awful happened with the {0} and I feel terrible.",
)
_GLAD = ("I'm so happy about the {0}!", "I love the {0}, it's great!")
_UPSET = ("I'm so sad about the {0}.", "I hate the {0}, I'm so upset.")


def _crossed(number: int, topic: str) -> MoodPair:
    pleasantly = f"{topic} {_CIRCUMSTANCES[number % 10]}"
    unpleasantly = f"{topic} {_CIRCUMSTANCES[(number + 3) % 10]}"
    return MoodPair(
        topic=topic,
        pleasant=_PLEASANT[number % 4].format(pleasantly),
        unpleasant=_UNPLEASANT[number // 4 % 4].format(unpleasantly),
        glad=_GLAD[number % 2].format(unpleasantly),
        upset=_UPSET[number // 2 % 2].format(pleasantly),
    )


MOOD_PAIRS = (*_WRITTEN, *(_crossed(number, topic) for number, topic in enumerate(_TOPICS)))
"""40 pairs: 80 times it can be told whether the memory in the same mood comes first."""
