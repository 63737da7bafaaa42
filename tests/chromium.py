"""The browser of the tests: Debian's Chromium, or its shell if there is one, driven by Playwright."""

from pathlib import Path

# The shell is the same engine without a browser's windows around it, which take a third of the work.
PROGRAMS = [Path("/usr/bin/chromium-headless-shell"), Path("/usr/bin/chromium")]
CHROMIUM = next((each for each in PROGRAMS if each.exists()), PROGRAMS[0])
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
