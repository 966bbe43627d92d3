"""Local standard time by country and state; daylight saving time is ignored."""

_US: dict[float, str] = {
    -5: "CT DC DE FL GA IN KY MA MD ME MI NC NH NJ NY OH PA RI SC VA VT WV",
    -6: "AL AR IA IL KS LA MN MO MS ND NE OK SD TN TX WI",
    -7: "AZ CO ID MT NM UT WY",
    -8: "CA NV OR WA",
    -9: "AK",
    -10: "HI",
}
_CA: dict[float, str] = {-3.5: "NL", -4: "NB NS PE", -5: "ON QC NU", -6: "MB SK", -7: "AB NT", -8: "BC YT"}
_AU: dict[float, str] = {8: "WA", 9.5: "SA NT", 10: "ACT NSW QLD TAS VIC"}
_COUNTRIES: dict[float, str] = {
    -5: "CO EC PE",
    -4: "BO CL VE",
    -3: "AR BR UY",
    0: "GB IE IS PT MA GH",
    1: "AT BE CH CZ DE DK ES FR HR HU IT LU MT NG NL NO PL RS SE SI SK TN",
    2: "BG CY EE EG FI GR IL LT LV RO UA ZA",
    3: "BH IQ KE KW QA SA TR",
    4: "AE AM AZ GE MU OM",
    5: "MV PK UZ",
    5.5: "IN LK",
    6: "BD",
    7: "TH VN",
    8: "CN HK MY PH SG TW",
    9: "JP KR",
    12: "NZ",
}
"""Hours ahead of UTC -> two-letter country codes; countries with several zones are listed by state."""


def _by_location() -> dict[tuple[str, str | None], float]:
    offsets: dict[tuple[str, str | None], float] = {}
    for country, zones in (("US", _US), ("CA", _CA), ("AU", _AU)):
        offsets |= {(country, state): hours for hours, states in zones.items() for state in states.split()}
    return offsets | {
        (country, None): hours for hours, countries in _COUNTRIES.items() for country in countries.split()
    }


_OFFSETS = _by_location()


def offset_hours(country: str | None, state: str | None) -> float:
    """Return hours ahead of UTC in standard time; NaN for unknown locations and those with several zones."""
    if country is None:
        return float("nan")
    return _OFFSETS.get((country, state), _OFFSETS.get((country, None), float("nan")))
