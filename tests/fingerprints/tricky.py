"""Sources that Python versions are known to read or print differently; all valid on 3.10."""

TRICKY = {
    "f-strings": '''
width, x, name = 5, 1.5, "n"
a = f"{x!r:>{width}.{2}f} {name['a']} {{braces}} {x = } {x=:.2f}"
b = f'{x:}' f"{'nested'}" "plain" f"{x:%Y-%m}" rf"\\d{x}\\n"
c = f"""{
    x
} \\N{BULLET} \\x41 {x!s:{'>' if x else '<'}10}"""
d = f"" "" f"{x}" ""
e = f"{x:{width}{'d'}}" f"{(lambda: 1)()}"
g = f"\\{6}" rf"{x:\\d}" f"{x:\\x41<5}"
''',
    "walrus": "if (n := len('a')) > 1: print([m := 2, (k := 3)])",
    "match": """
match point:
    case {"a": 1, **rest} if rest: pass
    case [1, *_, Point(x=0, y=-1.5j)] | (None | True): y = 1
    case str() as s: y = s
    case -1 | 1+2j: y = 2
    case _: y = 3
""",
    "signatures": """
def f(a, b: int = 1, /, c=(1, 2), *args: str, d, e=lambda q, *, z=3: q ** z, **kw) -> "list[int]":
    return a
async def g(*, a: int | None = None):
    async with a as b, c: pass
    async for i in b: await i
    return [x async for x in y if await x]
""",
    "decorators": """
@a.b[0](c)(lambda: 1)
@(yield_ := staticmethod)
class C(Base, metaclass=Meta, **options):
    x: int
    (y): int = 3
    __slots__ = ("x",)
""",
    "starred": "a, *b = [*c, *d]; f(*a, *b, k=1, **{**x}, **y); (*x,); a[1, 2:3, ...]; a[(1, 2)]; del a, (b)",
    "with": "with (open('a') as a, open('b'),): pass",
    "literals": '''
u"kind", b"\\xff\\0", "\\ud800", "\\N{BULLET}", "a" 'b' """c
d""", 1_000_000, 0xFFFF_FFFF, 1e999, -0.0, 1e-7, 3.14j, 1e400j,
True, None, ..., "caf\\u00e9 \\U0001F9D0 \\u0378"
big = 0x1'''
    + "0" * 6000
    + "\nlong = '"
    + "x" * 5000
    + "'\nbad = '\\d'\n",
    "scopes": """
def f():
    global a, b
    def g():
        nonlocal_ = 1
    try: raise A from B
    except (X, Y) as e: del e
    except: raise
    else: assert a, "b"
    finally: return
""",
    "deep": "total = " + " + ".join(["1"] * 1500),
    "lines": "x = [\r\n 1,\r\n]\r\ny = '''a\r\nb'''\r\n",
    "identifiers": "ﬁne = 1; naïve = ﬁne",
}
