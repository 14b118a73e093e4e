"""Python 2's ``urllib2``, which two modules share today."""

from urllib.error import HTTPError, URLError  # noqa: F401
from urllib.parse import quote, unquote, urlencode  # noqa: F401
from urllib.request import *  # noqa: F403
from urllib.request import Request, build_opener, install_opener, urlopen  # noqa: F401
