"""blackscholes: the formula in double precision. A price is the difference of two numbers of about 100, so its error is
measured against them: at most 8 ULP of the larger of spot and strike.
"""

import math

import common

N, RATE, VOLATILITY, LIMIT_ULP = 10000, 0.02, 0.3, 8


def make(directory):
    common.write(directory, "blackscholes.spot.f32", common.uniform(5, N, 80.0, 120.0))
    common.write(directory, "blackscholes.strike.f32", common.uniform(6, N, 80.0, 120.0))
    common.write(directory, "blackscholes.years.f32", common.uniform(7, N, 0.25, 2.0))


def cdf(x):
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def prices(spot, strike, years):
    spread = VOLATILITY * math.sqrt(years)
    d1 = (math.log(spot / strike) + (RATE + 0.5 * VOLATILITY ** 2) * years) / spread
    d2 = d1 - spread
    discounted = strike * math.exp(-RATE * years)
    return spot * cdf(d1) - discounted * cdf(d2), discounted * cdf(-d2) - spot * cdf(-d1)


def check(directory):
    spot, strike, years, call, put = (common.read(directory, f"blackscholes.{name}.f32")
                                      for name in ("spot", "strike", "years", "call", "put"))
    if len(call) != N or len(put) != N:
        common.finish("blackscholes", f"{len(call)} calls and {len(put)} puts instead of {N}", False)
    worst = 0.0
    for s, k, t, c, p in zip(spot, strike, years, call, put):
        if c != c or p != p:
            common.finish("blackscholes", "a price is not a number", False)
        want_call, want_put = prices(s, k, t)
        ulp = 2.0 ** (math.floor(math.log2(max(s, k))) - 23)
        worst = max(worst, abs(c - want_call) / ulp, abs(p - want_put) / ulp)
    common.finish("blackscholes", f"{2 * N} prices, at most {worst:.1f} ULP of spot or strike off (limit {LIMIT_ULP})",
                  worst <= LIMIT_ULP)


common.main(make, check)
