"""Home locations of the synthetic shop's customers: consistent country, state, city and postal codes."""

from typing import NamedTuple


class City(NamedTuple):
    """One city. `zips` are its postal codes, `offset_h` its standard time relative to UTC, `weight` its share."""

    country: str
    state: str | None
    city: str
    zips: tuple[str, ...]
    offset_h: int
    weight: float


CITIES: tuple[City, ...] = (
    City("US", "CA", "San Jose", ("95112", "95123", "95128"), -8, 9.0),
    City("US", "CA", "Los Angeles", ("90012", "90026", "90045"), -8, 8.0),
    City("US", "CA", "San Francisco", ("94103", "94110", "94117"), -8, 7.0),
    City("US", "WA", "Seattle", ("98101", "98115", "98122"), -8, 5.0),
    City("US", "OR", "Portland", ("97202", "97210", "97217"), -8, 2.5),
    City("US", "AZ", "Phoenix", ("85004", "85016", "85032"), -7, 3.0),
    City("US", "CO", "Denver", ("80203", "80211", "80220"), -7, 3.0),
    City("US", "TX", "Austin", ("78701", "78704", "78745"), -6, 5.0),
    City("US", "TX", "Houston", ("77002", "77008", "77024"), -6, 4.0),
    City("US", "IL", "Chicago", ("60607", "60614", "60647"), -6, 6.0),
    City("US", "MN", "Minneapolis", ("55401", "55408", "55419"), -6, 2.0),
    City("US", "GA", "Atlanta", ("30308", "30312", "30318"), -5, 4.0),
    City("US", "FL", "Miami", ("33125", "33130", "33137"), -5, 4.0),
    City("US", "NY", "New York", ("10003", "10025", "11215"), -5, 10.0),
    City("US", "MA", "Boston", ("02116", "02127", "02130"), -5, 4.0),
    City("CA", "ON", "Toronto", ("M4Y 1X9", "M5V 2T6"), -5, 3.0),
    City("CA", "BC", "Vancouver", ("V5K 0A1", "V6B 1A9"), -8, 1.5),
    City("GB", "England", "London", ("E1 6AN", "SW4 7AB"), 0, 5.0),
    City("GB", "Scotland", "Edinburgh", ("EH1 1YZ", "EH6 5NA"), 0, 1.0),
    City("DE", "Berlin", "Berlin", ("10115", "10405", "12043"), 1, 3.0),
    City("DE", "Bayern", "München", ("80331", "80799"), 1, 1.5),
    City("FR", "Île-de-France", "Paris", ("75003", "75011"), 1, 2.5),
    City("IN", "Karnataka", "Bengaluru", ("560001", "560034"), 5, 2.0),
    City("JP", "Tokyo", "Tokyo", ("150-0001", "160-0022"), 9, 1.5),
    City("AU", "NSW", "Sydney", ("2000", "2010"), 10, 1.5),
)
