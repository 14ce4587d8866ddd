"""Words that the spelling of -ing forms needs as data: what no rule tells, or would tell wrongly."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """Return the words of a text, each once."""
    return frozenset(text.split())


# Verbs of several syllables that double their last consonant: stressed at the end, or ending in a shorter verb.
DOUBLED = words(
    """
    abet abhor abut acquit admit airdrop allot annul aver babysit backdrop backflip backlog backstop befit beget begin
    beset bestir bobsled bootleg bootstrap catnap cobweb commit compel concur confer control corral costar debar debug
    defer demur deprogram deter disbar disinter dispel distil dogsled eavesdrop embed emit enrol entrap equip excel
    expel extol forbid forget format fulfil handicap hobnob hotdog housesit humbug imbed impel incur infer input inset
    instil inter jitterbug kidnap leapfrog misfit misstep nonplus occur offset omit outbid outfit output outrun
    outstrip outwit overlap overrun overstep patrol permit prefer preset program propel readmit rebel rebut recap
    recur refer refit reformat regret rehab remap remit reoccur repel repot reprogram rerun reset resubmit retag
    retrofit rewrap sandbag sidestep sublet submit transfer transmit transship typeset unbar unclip unclog underbid
    undercut underpin unman unpeg unpin unplug unsnap unstrap untag unwrap unzip upset videochat waterlog wiretap
    worship zigzag
    """
)

KEEP_E = frozenset({"binge", "singe", "springe", "swinge", "tinge", "whinge"})

# Two words that are one verb, in its second: "dry-cleaning".
COMPOUNDS = words(
    """
    air-dry baby-sit belly-dance blow-dry body-surf bottle-feed break-dance breast-feed bunny-hop chest-bump
    cross-stitch crowd-surf deep-fry double-check double-click dry-clean figure-skate fist-bump hand-feed hand-wash
    hang-glide head-butt high-five ice-skate jet-ski jump-start kite-surf line-dance lip-sync pan-fry photo-bomb
    pole-vault power-wash roller-skate side-step speed-skate spoon-feed spray-paint stir-fry tap-dance test-drive
    tie-dye video-chat water-ski wind-surf window-shop
    """
)

PREFIXES = frozenset({"co", "de", "mis", "out", "pre", "re", "un", "x"})

# Base forms that look like other forms.
BASE_IN_ING = frozenset({"hamstring", "restring", "unsling", "unstring"})
BASE_IN_ED = frozenset({"bed", "bobsled", "dogsled", "embed", "imbed", "shed", "shred", "sled", "wed"})
BASE_IN_S = frozenset({"alias", "bias", "canvas", "gas", "trellis"})

# Past forms that are no base form of another verb, as "found", "lay" and "saw" are.
PAST = words(
    """
    ate been began blew blown bought broke broken brought built caught chosen clung done drank drawn drew driven drove
    eaten fled flew flown forgot forgotten fought gave given gone gotten grew grown held hid hidden kept knew known
    laid lain leant lent lit lost made meant met paid ran ridden risen rode said sang seen sent shaken shook shot
    slept slid sold spent spoke spoken stole stolen stood struck stuck sung swam swept swum swung taken taught threw
    thrown told took tore torn went woke woken wore worn written wrote
    """
)

# Words that datasets write where a verb should be, "next to" or "in front of".
NO_VERBS = words(
    """
    a about above across after against along among an and any are around as at before behind below beneath beside
    besides between beyond by can't cannot could did does each every for from had has he in inside into is it it's its
    left near next no none not of off on onto opposite or other outside over she should some than that the their they
    this through to together toward towards under underneath unto upon via was were where which while who with within
    without would
    """
)
