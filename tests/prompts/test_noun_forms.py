import pytest

from pipeline.prompts.noun_forms import article, readable
from pipeline.toyworld.vocabulary import OBJECTS

A = """
person, house, hot dog, cup, wheelchair, yo-yo, yacht, gym mat, box, hammer, hymn book, hair drier
ukulele, unicycle, uniform, unicorn, union flag, unit, university, universal remote, unisex toilet, unanimous vote
utensil, utility pole, user manual, used car, usual suspect, urinal, uvula, ukrainian flag, ubiquitous thing
eucalyptus, euro coin, European car, ewe, one-way sign, onesie, ouija board, herbivore
usb stick, USB stick, ufo, UFO, uv lamp, u-turn, tv, TV, dvd, cd player, gps, pc, t-shirt, vcr, cctv camera, k9, url
3d printer, 7-up, 1 euro coin, 100 dollar bill, 110 volt plug, 180 degree mirror, 2 cups
xylophone, xerox machine, mr potato head
"""
AN = """
airplane, apple, elephant, orange, oven, umbrella, egg, onion, ice cream, axe, iphone, inflatable, iron, oar, anvil
uncle, umpire, upright piano, urn, usher, udder, ugly doll, urban bench, utter mess, udon noodle
unidentified object, unopened box, unused cup, unarmed guard, uneven floor, unimportant thing, uninstalled door
hourglass, hour hand, honest man, heirloom, herb garden, éclair
x-ray, X-ray, xbox, mp3 player, m&m, suv, SUV, FBI agent, led lamp, lcd monitor, ATM, rv, hdmi cable, SD card, NFL ball
mri scanner, nba jersey, f1 car, L-shaped sofa, s-hook, o-ring, e-bike, h2o bottle, eu flag
8-ball, 80s jacket, 800 page book, 11 iron, 18-wheeler
"""


@pytest.mark.parametrize(("nouns", "expected"), [(A, "a"), (AN, "an")])
def test_articles(nouns, expected):
    names = [name for line in nouns.strip().splitlines() for name in line.split(", ")]
    assert {name: article(name) for name in names} == dict.fromkeys(names, expected)


def test_toyworlds_articles():
    assert {article(name) for name in OBJECTS} == {"a"}


def test_readable():
    assert readable("wine_glass") == "wine glass"
    assert readable("cup") == "cup"
