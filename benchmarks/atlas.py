"""The atlas: published architectures decided, as published and with each cause of a broken lattice removed.

Architectures of timm, torchvision and Keras by name, of Haiku's `nets`, an example of Equinox's documentation, and the
families of the tests in Flax; all for all weights. One row is the verdict as published, one each further combination
of repairs, one the interior of a scene. Grids are of 64 pixels along each axis where the architecture takes them, so
that a total stride of 32 leaves a lattice to see; else of the size it was published for.

Every tenth architecture of PyTorch is checked by brute force in PyTorch itself, in float64 and with random weights: a
forward pass for every shift, whose set of shifts that leave the output as it is must be the lattice.
"""

import functools
import itertools
import math
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

import shiftproof as sp
from benchmarks.harness import Rows, read_rows
from shiftproof.deciding.scene import decide_scene
from shiftproof.deciding.verify import ask
from shiftproof.errors import InputError, ShiftproofWarning
from shiftproof.published import build_published
from shiftproof.report.tables import Table
from shiftproof.terminal import Console
from shiftproof.tracing.model import adapt, takes

SIZES = (64, 96, 128)
"""Sizes of a grid that are tried, in order, before the published one."""

SEARCH_SECONDS = 40.0
"""What the search for counterexamples may take for one architecture, beside compilation."""

VERDICT, COUNTERFACTUALS, SCENE = "verdict", "counterfactuals", "scene"
INTERIOR, REPAIR, FAILED, BRUTE = "interior", "cheapest repair", "failed", "brute force"

BY_NAME = {
    "torchvision": """
        resnet18 alexnet vgg11 squeezenet1_1 densenet121 googlenet mobilenet_v2 mobilenet_v3_small efficientnet_b0
        convnext_tiny vit_b_32 swin_t shufflenet_v2_x0_5 mnasnet0_5 regnet_y_400mf resnet50 inception_v3 maxvit_t
        vgg16_bn wide_resnet50_2 resnext50_32x4d lraspp_mobilenet_v3_large fcn_resnet50 efficientnet_v2_s swin_v2_t
        deeplabv3_mobilenet_v3_large mobilenet_v3_large densenet169 regnet_x_400mf resnet34 shufflenet_v2_x1_0
    """,
    "timm": """
        vit_tiny_patch16_224 resnetblur18 convnext_atto swin_tiny_patch4_window7_224 mixer_s32_224 convmixer_768_32
        poolformer_s12 edgenext_xx_small repvgg_a0 resnet18d seresnet18 mobilevit_xxs hrnet_w18_small dla34
        pit_ti_224 levit_128s ghostnet_100 mobileone_s0 efficientvit_b0 deit_tiny_patch16_224 gmlp_ti16_224
        resmlp_12_224 nest_tiny xcit_nano_12_p16_224 visformer_tiny focalnet_tiny_srf cspresnet50 res2net50_14w_8s
        resnest14d skresnet18 botnet26t_256 halonet26t lambda_resnet26t eca_nfnet_l0 nf_resnet26 resnetv2_18
        dpn68 selecsls42 xception41 tresnet_m gernet_s regnetx_002 regnety_002 regnetz_005 rexnet_100 mixnet_s
        lcnet_050 tinynet_e fbnetc_100 hardcorenas_a mobilenetv2_050 mobilenetv4_conv_small efficientnet_lite0
        repghostnet_050 repvit_m0_9 starnet_s1 fastvit_t8 efficientvit_m0 efficientformer_l1 hgnetv2_b0
        inception_next_atto convnextv2_atto convformer_s18 caformer_s18 coat_lite_tiny coatnet_nano_rw_224
        convit_tiny crossvit_tiny_240 cait_xxs24_224 davit_tiny gcvit_xxtiny mvitv2_tiny pvt_v2_b0 twins_svt_small
        tiny_vit_5m_224 volo_d1_224 swinv2_tiny_window8_256 maxxvit_rmlp_nano_rw_256 mobilevitv2_050 sequencer2d_s
        deit3_small_patch16_224 gmixer_12_224 bat_resnext26ts cs3darknet_focus_s inception_resnet_v2 resnet26t
    """,
    "keras": """
        mobilenet resnet50 vgg16 densenet121 mobilenetv2 efficientnetb0 convnexttiny xception resnet50v2
        mobilenetv3small efficientnetv2b0 inceptionv3 nasnetmobile
    """,
}
"""By collection, the architectures that are decided."""

COMPACT = (
    "resnet, imagenet|vgg|densenet|unet, nnx, zeros|vit, sin-cos, mean|efficientnet|mlp-mixer|feature pyramid, zeros|"
    "convnext 2|fourier operator, grid|mobilenet|swin|wide resnet|inception|deeplab|vit, class token|squeezenet|"
    "super-resolution, zeros|poolformer|big transfer|shufflenet|convmixer|perceiver|automaton, zeros|wavenet|generator|"
    "diffusion unet|resnet, cifar|convnext|vit, attention pool, positions|rotary attention|decoder|fnet|"
    "unet, bilinear, zeros|v-net, zeros|conv lstm, zeros|lstm|text cnn|autoencoder|patch discriminator|"
    "spatial transformer"
).split("|")
"""Of the families of the tests, in Flax, those that are decided: with few channels, and with the padding and positions
of their papers. The tests have others on a torus, or without positions.
"""

FAMILIES: dict[str, str] = {
    "alexnet vgg squeezenet lenet cnn textcnn autoencoder patchdiscriminator": "plain",
    "resnet resnext wide_resnet regnet res2net resnest dpn dla hrnet selecsls tresnet cspresnet cs3darknet gernet "
    "seresnet skresnet nf_resnet eca_nfnet resnetv2 resnetblur rexnet lambda_resnet halonet botnet bat_resnext "
    "hgnetv2 wideresnet bigtransfer": "residual",
    "densenet googlenet inception xception nasnet": "dense and inception",
    "mobilenet efficientnet mnasnet shufflenet ghostnet repghostnet mixnet lcnet tinynet fbnet hardcorenas mobileone "
    "repvgg repvit starnet fastvit": "mobile",
    "convnext convnextv2 convmixer poolformer convformer focalnet inception_next": "modern convolutional",
    "vit deit cait xcit volo pit swin twins nest pvt mvit davit gcvit coat crossvit convit levit tiny_vit sequencer "
    "maxvit maxxvit coatnet mobilevit edgenext efficientformer efficientvit visformer caformer perceiver "
    "rotaryattention decoder": "attention",
    "mixer gmlp gmixer resmlp mlpmixer fnet": "multilayer perceptron",
    "fcn deeplab lraspp unet segnet featurepyramid diffusionunet superresolution vnet": "dense prediction",
}
"""Families, by the beginnings of names; the longest beginning counts."""


@dataclass(frozen=True)
class Architecture:
    """One line of the atlas.

    Attributes:
        name: unique, such as `timm:resnet18`.
        build: the model and the shape of an image, for a size of the grid; None for that of the publication.
        options: of `verify`.
        sized: whether sizes are tried.
    """

    name: str
    build: Callable[[int | None], tuple[Any, tuple[int, ...]]]
    options: dict[str, Any]
    sized: bool = True

    @property
    def family(self) -> str:
        """Its family."""
        return family_of(self.name.partition(":")[2])


def family_of(name: str) -> str:
    """The family of an architecture, by the longest beginning of its name that is known.

    >>> family_of("convnextv2_atto"), family_of("mobilevit_xxs"), family_of("hopfield")
    ('modern convolutional', 'attention', 'other')
    """
    plain = name.lower().replace(" ", "").replace(",", "").replace("-", "")
    found = [
        (len(word), family)
        for words, family in FAMILIES.items()
        for word in words.split()
        if plain.startswith(word)
    ]
    return max(found, default=(0, "other"))[1]


def run(
    path: Path, *, quick: bool, until: float, cases: Sequence[str] = (), share: str = "1/1"
) -> None:
    """Decide all architectures that are not in the file yet, or those named, and append their rows.

    Args:
        path: of the rows.
        quick: a few light architectures only.
        until: the time after which none begins.
        cases: names, in place of all.
        share: which part of them, such as 1/2 and 2/2 for two processes at once.

    Raises:
        ValueError: there is no architecture of a name, or the share is none.
    """
    everything = list(architectures())
    names = [each.name for each in everything]
    if unknown := [name for name in cases if name not in names]:
        raise ValueError(f"there is no architecture {unknown[0]!r} in the atlas.")
    chosen = [each for each in everything if each.name in (cases or (QUICK if quick else names))]
    number, count = _share(share)
    known = read_rows(path) if path.is_file() else []
    # what was interrupted begins again: the last row of a figure counts
    done = {row.case for row in known if row.figure in (INTERIOR, FAILED)}
    tenth = {each.name for each in [e for e in everything if _is_torch(e)][::10]}
    rows, console = Rows(path, part="atlas", until=until, quick=quick), Console()
    for each in rows.in_time(e for e in chosen[number - 1 :: count] if e.name not in done):
        console.print(f"{each.name} ...", highlight=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ShiftproofWarning)
            try:
                _decide(rows, each, check=each.name in tenth)
            except Exception as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                told = (
                    f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
                )
                rows.add(each.name, FAILED, [1], unit="", family=each.family, reason=told)
        jax.clear_caches()
    console.print(table(rows.rows))
    console.print(f"{len(rows.rows)} rows in {path}", highlight=False)


QUICK = ("torchvision:resnet18", "equinox:cnn", "flax:vgg")


def _share(share: str) -> tuple[int, int]:
    number, _, count = share.partition("/")
    if not (number.isdigit() and count.isdigit() and 0 < int(number) <= int(count)):
        raise ValueError(f"--share {share!r} is none: say 1/2 and 2/2 for two processes.")
    return int(number), int(count)


def _is_torch(each: Architecture) -> bool:
    return each.name.startswith(("timm:", "torchvision:"))


# --- the architectures ---


def architectures() -> Iterator[Architecture]:
    """All of them; those of a framework that is not installed fail when they are built."""
    named = [
        *(
            [_named(collection, name) for name in names.split()]
            for collection, names in BY_NAME.items()
        ),
        list(_of_families()),
        [
            *map(_in_haiku, ("ResNet18", "MobileNetV1")),
            Architecture("equinox:cnn", _of_equinox, {}, sized=False),
        ],
    ]
    yield from filter(None, itertools.chain(*itertools.zip_longest(*named)))


def _named(collection: str, name: str) -> Architecture:
    return Architecture(f"{collection}:{name}", functools.partial(_published, collection, name), {})


def _in_haiku(name: str) -> Architecture:
    options = {"apply_kwargs": {"is_training": False}}
    return Architecture(f"haiku:{name.lower()}", functools.partial(_of_haiku, name), options)


def _published(collection: str, name: str, size: int | None) -> tuple[Any, tuple[int, ...]]:
    found = build_published(collection, name, grid=None if size is None else (size, size))
    return found.model, found.shape


def _of_haiku(name: str, size: int | None) -> tuple[Any, tuple[int, ...]]:
    import haiku as hk

    shape = (size or 224, size or 224, 3)

    def net(images: Any, is_training: bool) -> Any:
        return getattr(hk.nets, name)(num_classes=1000)(images, is_training)

    transformed = hk.transform_with_state(net)
    made = transformed.init(jax.random.key(0), np.zeros((1, *shape), np.float32), is_training=True)
    return (transformed, *made), shape


def _of_equinox(size: int | None) -> tuple[Any, tuple[int, ...]]:
    """The network for MNIST of Equinox's documentation ("Convolutional Neural Network on MNIST")."""
    import equinox as eqx

    keys = jax.random.split(jax.random.key(0), 4)
    layers = [
        eqx.nn.Conv2d(1, 3, kernel_size=4, key=keys[0]),
        eqx.nn.MaxPool2d(kernel_size=2),
        eqx.nn.Lambda(jax.nn.relu),
        eqx.nn.Lambda(jax.numpy.ravel),
        eqx.nn.Linear(1728, 512, key=keys[1]),
        eqx.nn.Lambda(jax.nn.sigmoid),
        eqx.nn.Linear(512, 64, key=keys[2]),
        eqx.nn.Lambda(jax.nn.relu),
        eqx.nn.Linear(64, 10, key=keys[3]),
        eqx.nn.Lambda(jax.nn.log_softmax),
    ]
    return eqx.nn.Sequential(layers), (1, 28, 28)


def _of_families() -> Iterator[Architecture]:
    from tests.families import FAMILIES as ALL

    known = {each.name: each for each in ALL}
    for name in COMPACT:
        each = known[name]

        def build(size: int | None, each: Any = each) -> tuple[Any, tuple[int, ...]]:
            return each.build(), each.shape

        yield Architecture(f"flax:{name}", build, dict(each.options), sized=False)


def _sized(each: Architecture) -> tuple[Any, tuple[int, ...]]:
    """The model, and the first shape that it takes."""
    for size in SIZES if each.sized else ():
        try:
            model, shape = each.build(size)
            if takes(adapt(model, apply_kwargs=each.options.get("apply_kwargs")), shape):
                return model, shape
        except (InputError, ValueError, AssertionError):
            continue
    return each.build(None)


# --- one architecture ---


def _decide(rows: Rows, each: Architecture, *, check: bool) -> None:
    model, shape = _sized(each)
    options = {**each.options, "name": each.name}
    begin = time.perf_counter()
    verdict = sp.verify(model, shape, search_seconds=SEARCH_SECONDS, **options)
    seconds = time.perf_counter() - begin
    output = verdict.outputs[0]
    found = output.equivariance or output.invariance
    assert found is not None
    jumps = [[field.jump for field in row.fields if field] for row in verdict.layers]
    rows.add(
        each.name,
        VERDICT,
        [seconds],
        unit="s",
        family=each.family,
        framework=adapt(model, apply_kwargs=options.get("apply_kwargs")).door.framework,
        shape=list(shape),
        grid=list(verdict.grid),
        question=found.claim.property,
        shifts=found.total,
        proved=found.proved,
        refuted=found.refuted,
        numerically=found.refuted_numerically,
        undecided=found.undecided,
        lattice=str(found.lattice),
        basis=[[float(n) for n in row] for row in found.lattice.basis],
        stride=float(max((jump for row in jumps for jump in row if jump), default=1)),
        causes="; ".join(
            dict.fromkeys(
                f"{cause.words}: {cause.layer}" + (f" ({cause.source})" if cause.source else "")
                for cause in verdict.causes
            )
        ),
        codes=" ".join(dict.fromkeys(cause.code for cause in verdict.causes)),
        layers=len(verdict.layers),
        notes=" ".join(note for note in verdict.notes if "channels first" not in note),
    )
    _what_if(rows, each, model, shape, verdict)
    _on_a_scene(rows, each, model, shape, verdict)
    if check:
        _brute_force(rows, each.name, model, shape, found)


def _what_if(
    rows: Rows, each: Architecture, model: Any, shape: tuple[int, ...], verdict: sp.Verdict
) -> None:
    """A row for every combination of repairs, and one for the cheapest."""
    begin = time.perf_counter()
    found = sp.counterfactuals(model, shape, refute=False, verdict=verdict, **each.options)
    seconds = time.perf_counter() - begin
    rows.add(each.name, COUNTERFACTUALS, [seconds], unit="s", family=each.family)
    for row in found.rows[1:]:
        output = row.outputs[0]
        rows.add(
            each.name,
            row.label,
            [output.proved],
            unit="shifts",
            family=each.family,
            interventions=" ".join(row.interventions),
            question=output.question,
            lattice=str(output.lattice),
            basis=[[float(n) for n in vector] for vector in output.lattice.basis],
            cost=row.cost,
        )
    best = found.repair
    if best is not None:
        steps = "; ".join(f"{place}: {change}" for place, change in found.steps(best))
        rows.add(
            each.name,
            REPAIR,
            [best.outputs[0].proved],
            unit="shifts",
            family=each.family,
            label=best.label,
            steps=steps,
        )


def _on_a_scene(
    rows: Rows, each: Architecture, model: Any, shape: tuple[int, ...], verdict: sp.Verdict
) -> None:
    """The last layer that has cells which just move with a scene, and how many of its cells do."""
    begin = time.perf_counter()
    subject, _ = ask(model, shape, **each.options)
    scene = decide_scene(subject, verdict.layers, verdict.causes, identities=False, refute=False)
    rows.add(each.name, SCENE, [time.perf_counter() - begin], unit="s", family=each.family)
    moving = [row for row in scene.layers if row.border and row.border.moving]
    inside, cells = moving[-1].border.left if moving and moving[-1].border else (0, 0)
    gone = scene.vanished
    rows.add(
        each.name,
        INTERIOR,
        [inside],
        unit="cells",
        family=each.family,
        layer=moving[-1].name if moving else "",
        cells=cells,
        lost="" if gone is None else gone.name,
    )


EQUAL, DIFFERENT = 1e-9, 1e-7
"""Relative differences in float64 up to which outputs count as equal, and from which as different."""


def _brute_force(
    rows: Rows, name: str, model: Any, shape: tuple[int, ...], found: Any, batch: int = 64
) -> None:
    """Every shift in PyTorch itself, in float64, with random weights; only questions of invariance."""
    import torch

    if found.claim.property != "invariance":
        return
    begin = time.perf_counter()
    torch.manual_seed(0)
    module = model.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            scale = 1 / math.sqrt(max(1, parameter[0].numel())) if parameter.dim() > 1 else 0.1
            parameter.add_(torch.randn_like(parameter) * scale)
        image = torch.randn(1, *shape, dtype=torch.float64)
        grid = shape[1:]
        shifts = [tuple(int(n) for n in s) for s in np.ndindex(*grid)]
        still = module(image)
        deviation = np.empty(len(shifts))
        for first in range(0, len(shifts), batch):
            part = shifts[first : first + batch]
            moved = module(torch.cat([torch.roll(image, s, (2, 3)) for s in part]))
            deviation[first : first + len(part)] = (
                (moved - still).abs().amax(dim=1) / still.abs().max()
            ).numpy()
    inside = np.array([s in found.lattice for s in shifts])
    agree = deviation[inside].max() < EQUAL and (
        inside.all() or deviation[~inside].min() > DIFFERENT
    )
    rows.add(
        name,
        BRUTE,
        [int(np.count_nonzero(deviation < EQUAL))],
        unit="shifts",
        family=family_of(name.partition(":")[2]),
        agrees=bool(agree),
        largest_inside=float(deviation[inside].max()),
        smallest_outside=float(
            deviation[~inside].min(initial=np.inf, where=deviation[~inside] >= 0)
        )
        if not inside.all()
        else None,
        seconds=time.perf_counter() - begin,
    )


def table(rows: Sequence[Any]) -> Table:
    """One line an architecture: as published, best of all repairs, and time."""
    cases: dict[str, dict[str, Any]] = {}
    for row in rows:
        cases.setdefault(row.case, {})[row.figure] = row
    cells = tuple(_line(case, figures) for case, figures in cases.items())
    columns = ("architecture", "image", "published", "open", "repaired", "interior", "s")
    return Table(
        "The atlas", columns, cells, numbers=frozenset(range(2, 7)), flexible=frozenset({0})
    )


def _line(case: str, figures: dict[str, Any]) -> tuple[str, ...]:
    if VERDICT not in figures:
        return (case, "failed", *5 * ("",))
    row = figures[VERDICT]
    shape = "x".join(str(int(n)) for n in row.facts["shape"])
    repair = figures.get(REPAIR)
    interior = figures.get(INTERIOR)
    total = row.facts["shifts"]
    return (
        case,
        shape,
        f"{row.facts['proved']}/{total}",
        str(row.facts["undecided"]),
        f"{repair.median:.0f}" if repair else "",
        f"{interior.median:.0f}/{interior.facts['cells']}" if interior else "",
        f"{sum(f.median for f in figures.values() if f.unit == 's'):.0f}",
    )
