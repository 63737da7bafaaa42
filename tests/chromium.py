"""The browser of the tests: Debian's Chromium, driven by Playwright."""

from pathlib import Path

CHROMIUM = Path("/usr/bin/chromium")
# Playwright's own list, without what is for Windows or Edge. Chromium obeys only the last list that it gets.
OFF_BY_PLAYWRIGHT = (
    *("AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades"),
    *("HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "PaintHolding"),
    *("ThirdPartyStoragePartitioning", "AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints"),
    *("NetworkTimeServiceQuerying", "AimEnabled", "PreconnectToSearch"),
)
# Chromium would start two more processes for each new window: the page behind the field for addresses, and
# a renderer for the next window. Together they take longer than a page of ours.
OFF_BY_US = ("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "SpareRendererForSitePerProcess")
# Without its own sandbox, which root can't use, and without requests to anything but the pages of a test.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join([*OFF_BY_PLAYWRIGHT, *OFF_BY_US])}",
]
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
