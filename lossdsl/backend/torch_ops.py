"""How each operation is written in torch: one line for each row of the op table.

In a template {x}, {y}, {z}, {w} are the arguments, {dim} is one dimension and {dims} are one or several, and {wide} is the
dtype in which values are computed. Structure, sums, products, powers and selections are written by
`lossdsl.backend.emit`, which knows about axes.
"""

from __future__ import annotations

from typing import NamedTuple

# How tightly the written forms bind, as in Python.
TERNARY, COMPARE, BIT_OR, BIT_AND, SUM, PRODUCT, UNARY, POWER, ATOM = range(9)


class Line(NamedTuple):
    """How an operation is written, and how tightly what is written binds."""

    template: str
    level: int = ATOM
    argument: int = TERNARY
    """How tightly an argument must bind where it stands in the template."""
    neutral: str | None = None
    """What a reduction sees in excluded places."""
    number: str | None = None
    """The form for arguments that are plain Python numbers."""
    one_axis: bool = False
    """Whether the torch function takes a single dimension only."""


def _method(name: str, number: str | None = None) -> Line:
    return Line(f"torch.{name}({{x}})", number=number)


LOWEST, HIGHEST = "lowest", "highest"
"""Neutral values of `max` and `min`, which depend on the kind."""

LINES: dict[str, Line] = {
    # Arithmetic and conditions
    "maximum": Line("torch.maximum({x}, {y})", number="max({x}, {y})"),
    "minimum": Line("torch.minimum({x}, {y})", number="min({x}, {y})"),
    "mod": Line("torch.remainder({x}, {y})", number="({x}) % ({y})"),
    "eq": Line("{x} == {y}", COMPARE, BIT_OR, number="{x} == {y}"),
    "lt": Line("{x} < {y}", COMPARE, BIT_OR, number="{x} < {y}"),
    "le": Line("{x} <= {y}", COMPARE, BIT_OR, number="{x} <= {y}"),
    "not": Line("~{x}", UNARY, UNARY, number="(not {x})"),
    "and": Line(" & ", BIT_AND, BIT_AND, number=" and "),
    "or": Line(" | ", BIT_OR, BIT_OR, number=" or "),
    # Functions of one number
    "exp": _method("exp", "math.exp({x})"),
    "log": _method("log", "math.log({x})"),
    "log1p": _method("log1p", "math.log1p({x})"),
    "expm1": _method("expm1", "math.expm1({x})"),
    "abs": _method("abs", "abs({x})"),
    "sign": _method("sign"),
    "floor": _method("floor", "math.floor({x})"),
    "ceil": _method("ceil", "math.ceil({x})"),
    "round": _method("round"),
    "sin": _method("sin", "math.sin({x})"),
    "cos": _method("cos", "math.cos({x})"),
    "tan": _method("tan", "math.tan({x})"),
    "asin": _method("asin"),
    "acos": _method("acos"),
    "atan": _method("atan"),
    "sinh": _method("sinh"),
    "cosh": _method("cosh"),
    "tanh": _method("tanh"),
    "asinh": _method("asinh"),
    "acosh": _method("acosh"),
    "atanh": _method("atanh"),
    "erf": _method("erf"),
    "erfc": _method("erfc"),
    "lgamma": _method("lgamma"),
    "digamma": _method("digamma"),
    "log_ndtr": _method("special.log_ndtr"),
    "erfcx": _method("special.erfcx"),
    "i0e": _method("special.i0e"),
    "i1e": _method("special.i1e"),
    # Stable forms
    "sigmoid": _method("sigmoid"),
    # Beyond its default threshold of 20 F.softplus is the identity, which float64 notices.
    "softplus": Line("F.softplus({x}, threshold=40)"),
    "log1mexp": Line("torch.where({x} > -0.6931, torch.log(-torch.expm1({x})), torch.log1p(-torch.exp({x})))"),
    "exp_rest": Line("exp_rest({x})"),
    "log_cosh": Line(
        "torch.where(torch.abs({x}) < 1, torch.log1p(2 * torch.sinh({x} / 2).square()), "
        "torch.abs({x}) + torch.log1p(torch.exp(-2 * torch.abs({x}))) - math.log(2))"
    ),
    "xlogx": Line("torch.xlogy({x}, {x})"),
    "gap": Line("{x} - {y}", SUM, PRODUCT),
    "logaddexp": Line("torch.logaddexp({x}, {y})"),
    "mix": Line("torch.lerp({z}, {y}, {x})", number="({x}) * ({y}) + (1 - ({x})) * ({z})"),
    "log_mix": Line("torch.logaddexp(torch.log({x}) + {y}, torch.log1p(-{x}) + {z})", argument=SUM),
    "log_blend": Line("torch.logaddexp(torch.log({x}) + {y}, torch.log({z}) + {w})", argument=SUM),
    "log_any": Line("log_any({x}, {y})"),
    "log_interval": Line("log_interval({x}, {y})"),
    "interval_peak": Line("interval_peak({x}, {y})"),
    "hypot": Line("torch.hypot({x}, {y})"),
    "atan2": Line("torch.atan2({x}, {y})"),
    "polygamma": Line("torch.polygamma({x}, {y})"),
    # Reductions
    "sum": Line("{x}.sum({dims}dtype={wide})", argument=ATOM, neutral="0"),
    "prod": Line("{x}.prod({dims})", argument=ATOM, neutral="1", one_axis=True),
    "max": Line("{x}.amax({dims})", argument=ATOM, neutral=LOWEST),
    "min": Line("{x}.amin({dims})", argument=ATOM, neutral=HIGHEST),
    "any": Line("{x}.any({dims})", argument=ATOM, neutral="False"),
    "all": Line("{x}.all({dims})", argument=ATOM, neutral="True"),
    "argmax": Line("{x}.argmax({dims})", argument=ATOM, neutral=LOWEST, one_axis=True),
    "argmin": Line("{x}.argmin({dims})", argument=ATOM, neutral=HIGHEST, one_axis=True),
    "logsumexp": Line("{x}.logsumexp({dims})", argument=ATOM, neutral="-math.inf"),
    "mean": Line("{x}.mean({dims}dtype={wide})", argument=ATOM, neutral="0"),
    # The squares of large numbers overflow in float32.
    "norm": Line("torch.linalg.vector_norm({x}, dim={dim}, dtype=torch.float64).to({wide})", neutral="0"),
    # Operations that keep their axes
    "argsort": Line("{x}.argsort(dim={dim}, stable=True)", argument=ATOM, one_axis=True),
    "rank": Line("{x}.argsort(dim={dim}, stable=True).argsort(dim={dim})", argument=ATOM, one_axis=True),
    "topk": Line("(-{x}).argsort(dim={dim}, stable=True).argsort(dim={dim}) < {y}", COMPARE, UNARY, one_axis=True),
    "cumsum": Line("{x}.cumsum(dim={dim})", argument=ATOM, one_axis=True),
    "softmax": Line("torch.softmax({x}, dim={dim})", one_axis=True),
    "log_softmax": Line("torch.log_softmax({x}, dim={dim})", one_axis=True),
    "unit": Line("{x} / {y}", PRODUCT, PRODUCT),
}

STRUCTURE = frozenset(
    (
        "leaf",
        "constant",
        "index",
        "size",
        "rename",
        "expand",
        "pick",
        "stop",
        "outer",
        "scale_gradient",
        "add",
        "mul",
        "pow",
        "select",
        "score_entropy",
    )
)
"""Operations that the emitter writes by itself; of an entropy of scores the last rewrites leave none."""

PREAMBLES: dict[str, str] = {
    "computing_dtype": '''\
def computing_dtype(*tensors: Tensor) -> torch.dtype:
    """The dtype to compute in: that of the widest input, but at least float32."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype
''',
    "distances": '''\
def distances(x: Tensor, y: Tensor) -> Tensor:
    """The distances between all rows of x and all rows of y.

    Rows in float32 are multiplied in float64, so that cancellation costs less than rounding the rows did.
    """
    if not torch.is_grad_enabled() and (x.dtype == torch.float64 or x.shape[1] <= 8):
        return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    if x.dtype == torch.float64:
        return torch.linalg.vector_norm(x[:, None] - y, dim=2)
    wide_x, wide_y = x.double(), y.double()
    scale = wide_x.square().sum(1)[:, None] + wide_y.square().sum(1)
    squares = scale - 2 * (wide_x @ wide_y.T)
    alike = squares <= 1e-15 * scale
    return torch.where(alike, 0, torch.where(alike, 1, squares).sqrt()).to(x.dtype)
''',
    "squared_distances": '''\
def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """The squared distances between all rows of x and all rows of y, from products in float64."""
    if not torch.is_grad_enabled() and (x.dtype == torch.float64 or x.shape[1] <= 8):
        return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square()
    if x.dtype == torch.float64:
        return (x[:, None] - y).square().sum(2)
    wide_x, wide_y = x.double(), y.double()
    scale = wide_x.square().sum(1)[:, None] + wide_y.square().sum(1)
    squares = scale - 2 * (wide_x @ wide_y.T)
    return torch.where(squares <= 1e-15 * scale, 0, squares).to(x.dtype)
''',
    "pull": '''\
def pull(weight: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """For each row of x the weighted sum of its differences to the rows of y; what has no weight has no influence."""
    used = weight != 0
    far = torch.isfinite(y)
    bad = (used & ~far.all(1)).any(1)[:, None]
    near = torch.where(used.any(1)[:, None], weight.sum(1)[:, None] * x, 0)
    return torch.where(bad, torch.nan, near - weight @ torch.where(far, y, 0))
''',
    "trigamma": '''\
def trigamma(x: Tensor) -> Tensor:
    """The derivative of digamma, with all digits and with a derivative: torch has two functions with one of these each."""
    value = torch.polygamma(1, x)
    return value + torch.where(torch.isfinite(value), torch.special.zeta(2, x) - value, 0).detach()
''',
    "exp_rest": '''\
def exp_rest(x: Tensor) -> Tensor:
    """exp(x) - 1 - x: near 0 by its series, where the difference would lose its digits."""
    one = torch.ones_like(x)
    series = one
    for power in range(14, 2, -1):
        series = torch.addcmul(one, series, x, value=1 / power)
    return torch.where(torch.abs(x) < 0.5, x.square() / 2 * series, torch.expm1(x) - x)
''',
    "log_any": '''\
def log_any(count: Tensor, x: Tensor) -> Tensor:
    """log(1 - (1 - e^x)^count), the chance of at least one success: count times e^x where that is tiny."""

    def log_complement(x: Tensor) -> Tensor:
        return torch.where(x > -0.6931, torch.log(-torch.expm1(x)), torch.log1p(-torch.exp(x)))

    tiny = x + torch.log(count)
    return torch.where(tiny < -40, tiny, log_complement(count * log_complement(x)))
''',
    "interval_weight": '''\
def interval_weight(x: Tensor, y: Tensor) -> Tensor:
    """The probability of a normal number between x - y and x + y, in parts of the density at the end nearer to 0.

    Over a short interval by quadrature, of a longer one as a difference of tails.
    """
    middle, root = torch.abs(x), 0.5**0.5
    fall = middle * y
    total = torch.zeros_like(fall)
    for place, weight in (
        (0.1834346424956498, 0.3626837833783620),
        (0.5255324099163290, 0.3137066458778873),
        (0.7966664774136267, 0.2223810344533745),
        (0.9602898564975363, 0.1012285362903763),
    ):
        curved = y.square() * (1 - place**2) / 2 - fall
        total = total + weight * (torch.exp(curved - place * fall) + torch.exp(curved + place * fall))
    near, far = torch.special.erfcx((middle - y) * root), torch.special.erfcx((middle + y) * root)
    return torch.where(fall + y.square() < 0.5, y * total, (math.pi / 2) ** 0.5 * (near - torch.exp(-2 * fall) * far))
''',
    "log_interval": '''\
def log_interval(x: Tensor, y: Tensor) -> Tensor:
    """The logarithm of the probability of a normal number between x - y and x + y."""
    near, far = torch.abs(x) - y, torch.abs(x) + y
    outside = (torch.erfc(-near * 0.5**0.5) + torch.erfc(far * 0.5**0.5)) / 2
    inside = torch.log(interval_weight(x, y)) - near.square() / 2 - math.log(2 * math.pi) / 2
    return torch.where(outside < 0.5, torch.log1p(-outside), inside)
''',
    "interval_peak": '''\
def interval_peak(x: Tensor, y: Tensor) -> Tensor:
    """The density at the end nearer to 0 in parts of the probability of a normal number between x - y and x + y."""
    return 1 / interval_weight(x, y)
''',
}
"""Functions that the emitted code may call, written out with it where it does."""
