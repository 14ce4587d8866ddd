"""Words that captions have for categories and verbs: data alone. `prepare.synonyms` adds a user's own.

Keys are COCO's names of categories and verbs of HICO-DET and V-COCO, with spaces; what a dataset lacks is not used. No
word here is a category of COCO itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.prompts.verb_lists import words

OBJECTS: dict[str, Iterable[str]] = {
    "person": words(
        """
        man woman boy girl child kid baby toddler infant adult guy lady gentleman human somebody someone individual
        player rider skier snowboarder surfer skater skateboarder cyclist bicyclist biker motorcyclist batter pitcher
        catcher umpire chef cook waiter waitress farmer worker driver pedestrian student teacher policeman officer
        soldier fireman fisherman businessman cowboy jockey friend couple family crowd group team he she they him
        mother father mom dad son daughter wife husband bride groom teenager youngster athlete tourist vendor
        """
    ),
    "bicycle": ("bike", "cycle"),
    "motorcycle": ("motorbike", "motor bike", "moped", "scooter"),
    "airplane": ("plane", "aeroplane", "jet", "aircraft"),
    "car": ("automobile", "taxi", "cab", "suv", "van"),
    "truck": ("lorry", "pickup"),
    "boat": ("canoe", "kayak", "sailboat", "ship", "rowboat"),
    "traffic light": ("stoplight", "traffic signal"),
    "fire hydrant": ("hydrant",),
    "bird": ("parrot", "pigeon", "duck", "seagull", "chicken"),
    "cat": ("kitten", "kitty"),
    "dog": ("puppy", "pup"),
    "horse": ("pony", "foal"),
    "sheep": ("lamb",),
    "cow": ("bull", "cattle", "calf", "ox"),
    "backpack": ("rucksack", "knapsack"),
    "handbag": ("purse", "hand bag"),
    "suitcase": ("luggage", "suit case"),
    "frisbee": ("frisby", "flying disc", "flying disk"),
    "skis": ("ski",),
    "snowboard": ("snow board",),
    "sports ball": ("ball", "baseball", "basketball", "football", "soccer ball", "tennis ball", "volleyball"),
    "baseball bat": ("bat",),
    "baseball glove": ("mitt", "catcher's mitt", "baseball mitt", "glove"),
    "skateboard": ("skate board",),
    "surfboard": ("surf board", "boogie board", "bodyboard"),
    "tennis racket": ("racket", "racquet", "tennis racquet"),
    "wine glass": ("wineglass", "glass", "glass of wine"),
    "cup": ("mug", "teacup", "coffee cup"),
    "knife": ("blade",),
    "hot dog": ("hotdog",),
    "donut": ("doughnut",),
    "couch": ("sofa", "loveseat"),
    "potted plant": ("houseplant",),
    "dining table": ("table", "dinner table", "kitchen table"),
    "tv": ("television", "tvs", "television set", "tv set"),
    "laptop": ("laptop computer", "computer", "notebook computer"),
    "mouse": ("computer mouse",),
    "remote": ("remote control", "controller", "game controller", "wii remote", "wii mote", "wiimote"),
    "cell phone": ("phone", "cellphone", "mobile phone", "smartphone", "smart phone", "mobile", "telephone"),
    "microwave": ("microwave oven",),
    "oven": ("stove",),
    "refrigerator": ("fridge",),
    "teddy bear": ("stuffed bear", "stuffed animal", "teddy"),
    "hair drier": ("hair dryer", "hairdryer", "blow dryer", "blow drier"),
    "tie": ("necktie", "bow tie"),
    "toothbrush": ("tooth brush",),
}

# A verb's first word is a base form that captions hold in all of its forms.
VERBS: dict[str, Iterable[str]] = {
    "hold": ("grasp", "grip", "clutch"),
    "sit on": ("sit in", "perch on", "seat on", "seat in"),
    "sit at": ("sit around", "seat at", "seat around"),
    "sit": ("seat", "perch"),
    "lie on": ("lay on", "lie in", "lay in", "sleep on", "sleep in"),
    "lay": ("lie",),
    "look at": ("stare at", "gaze at"),
    "look": ("stare", "gaze", "watch"),
    "drink with": ("drink from", "drink out of", "sip from"),
    "drink": ("sip",),
    "cut with": ("slice with", "chop with"),
    "cut": ("slice", "chop"),
    "talk on": ("speak on",),
    "talk on phone": ("talk on", "speak on"),
    "work on computer": ("work on", "type on", "use"),
    "eat": ("bite", "chew"),
    "throw": ("toss", "pitch"),
    "pet": ("stroke",),
    "push": ("shove",),
    "pull": ("tug",),
    "catch": ("grab",),
    "wear": ("dress in",),
    "text on": ("text with",),
    "jump": ("leap",),
    "repair": ("fix",),
    "clean": ("scrub",),
    "inspect": ("examine",),
}
