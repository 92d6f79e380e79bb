"""The words that the rules of `memory.fact_rules` know: English, as children and those around them speak it.

Data only. Other languages have no rules yet: what is said in them is kept verbatim, and no fact is made of it.
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


KIN = _words("""
    mum mom mummy mommy mama mother dad daddy papa father parents sister brother siblings sisters brothers twin
    stepmom stepmum stepdad stepsister stepbrother grandma grandpa granny grandmother grandfather nana nan nanny oma
    opa grandad granddad gran aunt auntie uncle cousin cousins niece nephew son daughter husband wife baby
    friend friends buddy bestie classmate neighbour neighbor teacher coach babysitter doctor dentist
""")
PETS = _words("""
    dog dogs puppy puppies doggy cat cats kitten kittens kitty rabbit rabbits bunny bunnies hamster hamsters fish
    fishes goldfish parrot parrots bird birds budgie budgies canary canaries turtle turtles tortoise tortoises
    snake snakes lizard lizards gecko horse horses pony ponies mouse mice rat rats gerbil gerbils ferret ferrets
    chicken chickens duck ducks goat goats sheep pig pigs cow cows donkey donkeys hedgehog frog frogs snail snails
    chinchilla chinchillas
""") | {"guinea pig", "guinea pigs"}
TOYS = _words("""
    teddy teddies doll dolls plushie plushy plush blanket blankie dolly robot dinosaur bear dragon unicorn monkey
    lion tiger giraffe elephant penguin toy
""") | {"teddy bear", "stuffed animal", "cuddly toy", "stuffed bear", "soft toy", "toy car", "toy dog"}
SAME_IN_PLURAL = _words("fish goldfish sheep mice")
SAME_KIND = {
    "mummy": "mum",
    "mommy": "mom",
    "daddy": "dad",
    "doggy": "dog",
    "kitty": "cat",
    "neighbor": "neighbour",
    "auntie": "aunt",
}
"""Pet names of kinds, under one of which all are kept."""

ONE_PERSON = (
    _words("mum mom mama mother"),
    _words("dad papa father"),
    _words("grandma granny grandmother gran nana nan nanny oma"),
    _words("grandpa grandfather grandad granddad opa"),
)
"""Kinds that are the same person to a child, whoever says them: what is kept from mum is kept from mother."""

KIND_QUALITIES = _words("little big older younger elder baby best twin new half step great old small")
"""Before a kind; of these only `KEPT_QUALITIES` tell one sister from another."""
KEPT_QUALITIES = _words("little big older younger elder baby best twin half step great")

NUMBERS = {
    word: n
    for n, word in enumerate(
        (
            *("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
            *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
        ),
        1,
    )
}
ORDINALS = _words("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth")
TITLES = _words("mr mrs ms miss dr doctor sir aunt uncle grandma grandpa")

PLAYED = _words("""
    football soccer tennis chess basketball baseball handball hockey volleyball badminton rugby cricket golf
    piano guitar violin drums flute trumpet cello recorder ukulele clarinet saxophone harp keyboard minecraft
""")
"""What one plays as a pursuit: "I play football" is a fact, "I play with you" is not."""

NOT_NAMES = _words("""
    a about after again all almost alone also always am an and angry another any anything are around as asleep at away
    awake awesome awful bad banana batman be beautiful because bed best better big bigger bit black blue bored boring
    born boss brave brown busy but by call called came can cannot captain careful chicken cold come coming cool could
    crazy cute dad daddy dark dead difficult dirty do does doing done don't down dragon dumb each easy eating eight
    eleven elsa every everyone everything fast fat few fine first five for four free from full fun funny get getting
    girl give go goes going gone gonna good got grandma grandpa great green had happy hard has hate hates have having
    he hello her here hers hey hi him his home hot how hulk hungry hurt i i'm if ill important in inside interesting
    into ironman is isn't it it's its joking just kidding king know late later less like likes little long look lost
    lot love loves mad make making married maybe me mean messy mine missing mom mommy more most mum mummy my name
    named never nice nine no nobody none normal not nothing now of off okay old on once one only or our out outside
    over perfect pink playing please pretty prince princess purple quiet queen quite ready real really red right
    running said santa sad same says scared secret see seven she short shy sick silly simple sir six sleeping sleepy
    small smart so some someone something sometimes soon sorry special spiderman stinky stop strange strong stupid
    such superman sure sweet tall ten terrible than thank thanks that that's the their them then there these they
    thing things thinking this those three thirsty tired to today together tomorrow tonight too trying twelve two ugly
    under unknown up upset us very wanna want wants was we weird well went were what what's when where which white who
    whose why will with without wolverine wonderful won't working wrong yeah yellow yes yesterday you young your yours
    still already even usually often actually currently probably both rarely mostly totally literally absolutely mainly
    finally kind sort ever yet since until while during behind near between clearly obviously hardly barely nearly
    paranoid lazy insane naive unusual taken popular common rare ridiculous simply
    honestly seriously secretly suddenly either neither though although however therefore anyway somehow twice
    written spelled hidden whatever whoever nope maybe anymore does did doesn't didn't can't isn't wasn't
    monday tuesday wednesday thursday friday saturday sunday boy baby kid child monster robot unicorn pirate fairy
    witch wizard superhero ninja zombie vampire dinosaur cat dog lion tiger
""")
"""What follows "I'm" or "is called" without being a name, and whom children play: a wrong name is worse than none."""

BAD_FIRST = _words("""
    it that this these those you your him her them his he she they me i we us its how what when where who why if not
    nothing something anything everything everybody everyone someone nobody so to-day more being as is are was like one
    ones all both some any no such which whatever anyone yours mine their there here about very too in on at with from
    especially even never soon y'all and or then ever want wanna
""")
"""With these begins nothing that can be liked or feared by itself."""
BAD_ANYWHERE = _words("""
    when if because that who what how which but is are was were am you your i he she they we us him them it me will
    would could should said says say don't doesn't didn't isn't aren't can't cannot not any anymore then maybe where
    why this these those does did do has have had while until since better sometimes lately above here as myself
    yourself
    himself herself themselves much tbh lol lmao though especially particular even never often other others enough
    so yea yeah ngl someday want wants wanna honestly anyways anyway again already whatever please
""")
THOUGHTS = _words("hope think imagine know believe say guess wish pretend be")
"""What one likes to do in words only: "I like to think ..." is no liking."""
KNOWN_TO_ALL = _words("""
    dark beach sea ocean zoo rain snow sun moon stars sky park playground forest woods garden pool mountains farm circus
    library swing slide bath water wind thunder night piano guitar violin drums flute summer winter autumn spring
    elephant giraffe lion tiger bear wolf shark dentist doctor vacuum colour color
""")
"""What "the" may stand before without pointing at a single thing that only the speaker sees."""
"""With one of these, it is a clause or points at something only the speaker sees."""

FEARED = r"(?:afraid|scared|frightened|terrified)"
ADVERBS = (
    r"(?:(?:really|so|very|also|still|just|always|totally|super|absolutely|do|quite|both|all|actually|even|only) )*"
)
LEAD_IN = (
    r"(?:(?:hi|hello|hey|well|oh|wow|yes|yeah|yep|no|nope|okay|ok|alright|so|and|but|because|cause|cos|then|also|look|"
    r"listen|actually|guess what|you know what|you know|by the way|luckily|sadly|today i learned) )*"
)
TAIL = (
    r"(?: (?:too|now|also|so much|very much|a lot|the most|at all|really|though|you know|best|by the way|as well|"
    r"so so much|very very much|more than [^ ]+(?: [^ ]+)?|better than [^ ]+(?: [^ ]+)?|right now))*"
)
FILLERS = _words("um uh uhm er erm hmm mm ah eh umm uhh like-uh")

# Words after which what is said is not so, or not said to be so, and how far that reaches.
UNREAL_BEFORE_AND_AFTER = r"\b(?:kidding|joking|just a joke|april fool)\b"
UNREAL_AFTER = (
    r"\b(?:pretend\w*|imagin\w+|let's (?:play|say)|let us play|suppose|once upon|dream\w*|in (?:the|my|a|this|our) "
    r"(?:story|game|book|movie|film|song|show)|make[- ]believe|the (?:boy|girl|man|woman|king|queen|prince|princess|"
    r"dragon|hero|wolf|bear) in)\b"
)
UNREAL_SENTENCE = r"\b(?:if|wished)\b"
UNREAL_CLAUSES = (
    r"\b(?:would|could|might|maybe|perhaps|probably|possibly|said|says|say|saying|told|tells|asked|asks|thinks|thought|"
    r"believes|believed|guess(?! what)|sang|sings|wrote|read|supposed|should|almost|nearly|not sure)\b"
)
THOUGHTS_OF_MIND = r"\b(?:think|believe|wish|i'd)\b"
"""What is in somebody's mind only: no fact, but something for `memory.beliefs`."""
QUESTION = (
    r"(?:what|who|whose|whom|where|when|why|how|which|do|does|did|are|is|am|was|were|can|could|may|will|would|should|"
    r"shall|have|has|had|don't|doesn't|didn't|aren't|isn't|won't|can't|what's|who's|where's|how's)\b"
)
"""How a sentence begins that asks, said without a question mark. "May" and "have" as well: nobody's facts do."""
