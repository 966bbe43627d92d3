"""Fictional names of the synthetic shop's visitors, and their devices."""

from include.contracts.session import Device

FIRST_NAMES: dict[str, tuple[str, ...]] = {
    "f": (
        *("Ada", "Amina", "Astrid", "Beatriz", "Chloé", "Daria", "Elif", "Emma", "Fatima", "Grace", "Hana", "Ines"),
        *("Jana", "Kavya", "Leila", "Mei", "Nora", "Olivia", "Priya", "Rosa", "Sofia", "Thu", "Wanjiru", "Yuki", "Zoë"),
    ),
    "m": (
        *("Ahmed", "Anton", "Bruno", "Carlos", "Daniel", "Emil", "Felix", "Giorgio", "Hiro", "Ivan", "Jamal", "Kofi"),
        *("Liam", "Mateo", "Nikhil", "Omar", "Pavel", "Ravi", "Samuel", "Tomás", "Uwe", "Viktor", "Wei", "Yusuf"),
    ),
    "x": ("Alex", "Ariel", "Casey", "Devon", "Jules", "Kai", "Noor", "Quinn", "Robin", "Sam", "Sasha", "Toni"),
}

LAST_NAMES: tuple[str, ...] = (
    *("Abe", "Alvarez", "Andersson", "Baker", "Bauer", "Brooks", "Castro", "Chen", "Costa", "Dubois", "Eriksen"),
    *("Fischer", "Flores", "Garcia", "Gupta", "Haddad", "Hughes", "Ito", "Jensen", "Kaya", "Kim", "Kowalski"),
    *("Larsen", "Lopez", "Martin", "Mbeki", "Meyer", "Moreau", "Murphy", "Nakamura", "Nguyen", "Novak", "Okafor"),
    *("Osei", "Park", "Patel", "Petrov", "Quiroga", "Reyes", "Rossi", "Sato", "Schmidt", "Silva", "Singh", "Suzuki"),
    *("Tanaka", "Torres", "Turner", "Vance", "Varga", "Wagner", "Walker", "Wong", "Yamada", "Yilmaz", "Zhang"),
)

MOBILE: tuple[Device, ...] = (
    Device(type="mobile", os="iOS", browser="Safari"),
    Device(type="mobile", os="Android", browser="Chrome"),
    Device(type="mobile", os="Android", browser="Samsung Internet"),
)
DESKTOP: tuple[Device, ...] = (
    Device(type="desktop", os="Windows", browser="Chrome"),
    Device(type="desktop", os="Windows", browser="Edge"),
    Device(type="desktop", os="macOS", browser="Safari"),
    Device(type="desktop", os="macOS", browser="Chrome"),
    Device(type="desktop", os="Linux", browser="Firefox"),
)
TABLET: tuple[Device, ...] = (
    Device(type="tablet", os="iPadOS", browser="Safari"),
    Device(type="tablet", os="Android", browser="Chrome"),
)
UNKNOWN_DEVICE = Device(type="unknown", os=None, browser=None)
