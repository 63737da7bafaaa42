"""A request as code that runs as it stands: in curl, Python (requests) and JavaScript (fetch)."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from misar_billing.reference.exchanges import Request

WIDTH = 62  # The longest line of code that a column of the page shows without a break.
# Code has no secret in it: it reads credentials from the environment.
VARIABLES = {
    "wsk_...": "WALLET_SERVICE_KEY",
    "msk_...": "API_KEY",
    "<access token>": "ACCESS_TOKEN",
    "<session>": "SESSION",
    "<token>": "CSRF_TOKEN",
}
PLACEHOLDER = re.compile("|".join(re.escape(each) for each in VARIABLES))
IDENTIFIER = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Style:
    """How a language writes a value of JSON."""

    none: str = "null"
    true: str = "true"
    false: str = "false"
    bare_keys: bool = False
    padding: str = ""

    def one_line(self, value: Any) -> str:
        if isinstance(value, dict):
            inner = ", ".join(f"{self.key(name)}: {self.one_line(each)}" for name, each in value.items())
            return f"{{{self.padding}{inner}{self.padding}}}" if inner else "{}"
        if isinstance(value, list):
            return f"[{', '.join(map(self.one_line, value))}]"
        if value is None or isinstance(value, bool):
            return {None: self.none, True: self.true, False: self.false}[value]
        return json.dumps(value, ensure_ascii=False)

    def key(self, name: str) -> str:
        return name if self.bare_keys and IDENTIFIER.fullmatch(name) else json.dumps(name)

    def lines(self, value: Any, *, depth: int = 0, before: int = 0, step: int = 2) -> str:
        """Return a value as text. Later lines stand at `depth`; `before` characters precede the first."""
        short = self.one_line(value)
        if depth + before + len(short) <= WIDTH or not value or not isinstance(value, dict | list):
            return short
        inner = depth + step
        if isinstance(value, list):
            parts = [self.lines(each, depth=inner, step=step) for each in value]
        else:
            keys = {name: f"{self.key(name)}: " for name in value}
            parts = [
                key + self.lines(value[name], depth=inner, before=len(key), step=step)
                for name, key in keys.items()
            ]
        opening, closing = "[]" if isinstance(value, list) else "{}"
        text = ",\n".join(" " * inner + part for part in parts)
        return f"{opening}\n{text}\n{' ' * depth}{closing}"


JSON = Style()
PYTHON = Style(none="None", true="True", false="False")
JAVASCRIPT = Style(bare_keys=True, padding=" ")


def json_of(value: Any) -> str:
    """Return a value as JSON that is easy to read."""
    return JSON.lines(value)


@dataclass(frozen=True)
class Sample:
    """One request in three languages. `base` is the scheme and host that the reader uses."""

    request: Request
    base: str

    @property
    def url(self) -> str:
        return self.base + self.request.path

    def curl(self) -> str:
        method = self.request.method
        has_body = self.request.body is not None
        words = ["curl" if method == "GET" or (method == "POST" and has_body) else f"curl -X {method}"]
        words[0] += f' "{self.url}"'
        for name, value in self.request.headers.items():
            words.append(f'-H "{name}: {_replaced(value, "${}")}"')
        if has_body:
            body = JSON.lines(self.request.body, depth=2, before=4).replace("'", "'\\''")
            words.append(f"-d '{body}'")
        return " \\\n  ".join(words)

    def python(self) -> str:
        lines = [json.dumps(self.url)]
        headers = {name: value for name, value in self.request.headers.items() if name != "Content-Type"}
        if headers:
            lines.append(_headers(headers, PYTHON, _python_text, "headers=", step=4))
        if self.request.body is not None:
            lines.append("json=" + PYTHON.lines(self.request.body, depth=4, before=6, step=4))
        lines.append("timeout=5")
        imports = "import os\n\nimport requests" if PLACEHOLDER.search(str(headers)) else "import requests"
        arguments = "".join(f"    {line},\n" for line in lines)
        call = f"requests.{self.request.method.lower()}(\n{arguments})"
        return f"{imports}\n\nanswer = {call}\nprint(answer.status_code, answer.json())"

    def javascript(self) -> str:
        options = [f'method: "{self.request.method}"'] if self.request.method != "GET" else []
        if self.request.headers:
            options.append(_headers(self.request.headers, JAVASCRIPT, _javascript_text, "headers: ", step=2))
        if self.request.body is not None:
            body = JAVASCRIPT.lines(self.request.body, depth=2, before=22)
            options.append(f"body: JSON.stringify({body})")
        inner = "".join(f"  {each},\n" for each in options)
        call = f'fetch("{self.url}"' + (f", {{\n{inner}}})" if inner else ")")
        return f"const answer = await {call};\nconsole.log(answer.status, await answer.json());"


def _headers(headers: Mapping[str, str], style: Style, text: Any, before: str, *, step: int) -> str:
    parts = [f"{style.key(name)}: {text(value)}" for name, value in headers.items()]
    one_line = f"{before}{{{style.padding}{', '.join(parts)}{style.padding}}}"
    if len(one_line) + step <= WIDTH:
        return one_line
    inner = "".join(f"{' ' * 2 * step}{part},\n" for part in parts)
    return f"{before}{{\n{inner}{' ' * step}}}"


def _replaced(text: str, pattern: str) -> str:
    """Return a header's value with its placeholders as variables, written as `pattern` says."""
    return PLACEHOLDER.sub(lambda found: pattern.replace("{}", VARIABLES[found[0]]), text)


def _python_text(text: str) -> str:
    if text in VARIABLES:
        return f'os.environ["{VARIABLES[text]}"]'
    if PLACEHOLDER.search(text):
        return 'f"' + _replaced(text, "{os.environ['{}']}") + '"'
    return json.dumps(text)


def _javascript_text(text: str) -> str:
    if text in VARIABLES:
        return f"process.env.{VARIABLES[text]}"
    if PLACEHOLDER.search(text):
        return f"`{_replaced(text, '${process.env.{}}')}`"
    return json.dumps(text)
