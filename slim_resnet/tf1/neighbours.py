"""What old scripts ask of Python and of other libraries, and where it is today, as data.

A value is the dotted path of what is given for the name; the path of a module of ours begins
with ``own.``. A name that the library still has is left to it, except in `REPLACED`.
"""

# Modules of Python 2, or of older Pythons, by what they are called today.
MODULES = {
    "Queue": "queue", "cPickle": "pickle", "StringIO": "own.string_io", "cStringIO":
    "own.string_io", "ConfigParser": "configparser", "urllib2": "own.urllib2",
    "urlparse": "urllib.parse", "HTMLParser": "html.parser", "httplib": "http.client",
    "cookielib": "http.cookiejar", "SocketServer": "socketserver", "Tkinter": "tkinter",
    "tkFileDialog": "tkinter.filedialog", "tkMessageBox": "tkinter.messagebox",
    "__builtin__": "builtins", "copy_reg": "copyreg", "commands": "subprocess",
    "thread": "_thread", "dummy_thread": "_thread", "imp": "own.imp", "scipy.misc":
    "own.scipy_misc", "sklearn.externals.joblib": "joblib",
    "sklearn.cross_validation": "sklearn.model_selection",
}

_NUMPY = {
    **{name: f"builtins.{name}" for name in ("float", "int", "bool", "object", "str", "complex")},
    "long": "builtins.int", "unicode": "builtins.str", "float_": "numpy.float64",
    "complex_": "numpy.complex128", "unicode_": "numpy.str_", "string_": "numpy.bytes_",
    "Inf": "numpy.inf", "Infinity": "numpy.inf", "infty": "numpy.inf", "PINF": "numpy.inf",
    "NINF": "own.numbers.NINF", "NaN": "numpy.nan", "NAN": "numpy.nan",
    "PZERO": "own.numbers.PZERO", "NZERO": "own.numbers.NZERO", "int0": "numpy.intp",
    "uint0": "numpy.uintp", "asscalar": "own.numbers.asscalar", "product": "numpy.prod",
    "cumproduct": "numpy.cumprod", "sometrue": "numpy.any", "alltrue": "numpy.all",
    "in1d": "numpy.isin", "row_stack": "numpy.vstack", "trapz": "numpy.trapezoid",
    "round_": "numpy.round", "rank": "numpy.ndim", "float96": "numpy.longdouble",
    "singlecomplex": "numpy.complex64", "cfloat": "numpy.complex128",
    "longfloat": "numpy.longdouble", "clongfloat": "numpy.clongdouble",
    "fastCopyAndTranspose": "own.numbers.fast_copy_and_transpose",
}

# Names that modules have lost.
NAMES = {
    "numpy": _NUMPY,
    "scipy": {"misc": "own.scipy_misc"},
    "collections": {name: f"collections.abc.{name}" for name in (
        "Callable", "Container", "Generator", "Hashable", "ItemsView", "Iterable", "Iterator",
        "KeysView", "Mapping", "MappingView", "MutableMapping", "MutableSequence", "MutableSet",
        "Reversible", "Sequence", "Set", "Sized", "ValuesView")},
    "inspect": {"getargspec": "own.python.getargspec"},
    "time": {"clock": "own.python.clock"},
    "fractions": {"gcd": "math.gcd"},
    "cgi": {"escape": "html.escape"},
    "base64": {"encodestring": "base64.encodebytes", "decodestring": "base64.decodebytes"},
    "string": {"letters": "string.ascii_letters", "lowercase": "string.ascii_lowercase",
               "uppercase": "string.ascii_uppercase", "maketrans": "own.python.maketrans",
               "join": "own.python.join"},
    "itertools": {"izip": "builtins.zip", "imap": "builtins.map", "ifilter": "builtins.filter",
                  "izip_longest": "itertools.zip_longest",
                  "ifilterfalse": "itertools.filterfalse"},
    "os": {"getcwdu": "os.getcwd"},
    "sys": {"maxint": "sys.maxsize", "setdefaultencoding": "own.python.setdefaultencoding"},
    "urllib": {"urlretrieve": "urllib.request.urlretrieve", "urlopen": "urllib.request.urlopen",
               "urlencode": "urllib.parse.urlencode", "quote": "urllib.parse.quote",
               "quote_plus": "urllib.parse.quote_plus", "unquote": "urllib.parse.unquote",
               "unquote_plus": "urllib.parse.unquote_plus",
               "ContentTooShortError": "urllib.error.ContentTooShortError"},
    "types": {"StringType": "builtins.str", "IntType": "builtins.int",
              "FloatType": "builtins.float", "ListType": "builtins.list",
              "TupleType": "builtins.tuple", "DictType": "builtins.dict",
              "StringTypes": "own.python.STRING_TYPES"},
    "subprocess": {"getoutput": "subprocess.getoutput"},
    "sklearn": {},
    "sklearn.externals": {"joblib": "joblib"},
    "PIL": {},
    "PIL.Image": {"ANTIALIAS": "PIL.Image.LANCZOS"},
    # How user code may load user code.
    "builtins": {},
    "importlib": {"import_module": "slim_resnet.tf1.imports.import_module"},
    "importlib.util": {
        "spec_from_file_location": "slim_resnet.tf1.imports.spec_from_file_location"},
    "importlib.machinery": {"SourceFileLoader": "slim_resnet.tf1.imports.UserLoader"},
    "runpy": {"run_path": "slim_resnet.tf1.imports.run_path"},
}

# Names of `NAMES` that a library still has, for something else.
REPLACED = {"numpy": ("bool", "long", "str", "in1d"), "importlib": ("import_module",),
            "importlib.util": ("spec_from_file_location",),
            "importlib.machinery": ("SourceFileLoader",), "runpy": ("run_path",),
            "scipy": ("misc",)}

# Python 2's builtins.
BUILTINS = {
    "xrange": "builtins.range", "unicode": "builtins.str", "basestring": "builtins.str",
    "long": "builtins.int", "unichr": "builtins.chr", "raw_input": "builtins.input",
    "reduce": "functools.reduce", "reload": "importlib.reload", "intern": "sys.intern",
    "execfile": "own.python.execfile", "cmp": "own.python.cmp", "file": "builtins.open",
}
