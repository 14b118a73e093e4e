"""Downloading a large file, so that what there is of it is never fetched twice."""

import contextlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable

from slim_resnet.common.files import writing_errors
from slim_resnet.errors import SlimResnetError

_CHUNK = 1 << 18
# Seconds without a byte.
_TIMEOUT = 60
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


def download(url: str, path: str | os.PathLike, *,
             progress: Callable[[Iterable[bytes], int | None, int], Iterable[bytes]]
             = lambda chunks, total, done: chunks) -> None:
    """Downloads a file by HTTP, or goes on with a download that was stopped.

    Until it is whole the file is ``<path>.part``; ``<path>.part.tag`` says which version of
    the file it is of, so that no two are mixed.

    Args:
      url: ``http`` or ``https``; proxies are taken from the environment.
      path: File to write.
      progress: Called with the chunks to come, how many bytes the whole has (None if
        unknown) and how many are there; yields the chunks.

    Raises:
      SlimResnetError: The server cannot be reached, has no such file or breaks off; the
        file cannot be written. What has arrived is kept.
    """
    part, tag_file = f"{os.fspath(path)}.part", f"{os.fspath(path)}.part.tag"
    with writing_errors(path):
        done, tag = _begun(part, tag_file)
        with _opened(url, done, tag) as response:
            done, total = _place(response, done)
            new_tag = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
            with open(tag_file, "w", encoding="utf-8") as file:
                file.write(new_tag)
            with open(part, "r+b" if done else "wb") as file:
                file.seek(done)
                for chunk in progress(_chunks(response, url), total, done):
                    file.write(chunk)
                size = file.tell()
        if total is not None and size != total:
            raise SlimResnetError(f"{url}: broke off after {size:,} of {total:,} bytes; the same "
                                  "command goes on with it")
        os.replace(part, path)
        os.remove(tag_file)


def _begun(part, tag_file):
    """Returns how many bytes are there, and of which version of the file."""
    try:
        with open(tag_file, encoding="utf-8") as file:
            tag = file.read()
        # Without a tag nothing tells whether the rest would be of the same file.
        return (os.path.getsize(part), tag) if tag else (0, "")
    except FileNotFoundError:
        return 0, ""


@contextlib.contextmanager
def _opened(url, done, tag):
    headers = {"User-Agent": "slim-resnet"}
    if done:
        headers |= {"Range": f"bytes={done}-", "If-Range": tag}
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers),
                                          timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not done:
            raise SlimResnetError(f"{url}: the server answers {error.code} {error.reason}"
                                  ) from error
        # All of it is there, or more than all: begin again.
        with _opened(url, 0, "") as again:
            yield again
        return
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SlimResnetError(
            f"{url}: cannot be reached: {getattr(error, 'reason', error)}; if there is a proxy, "
            "set https_proxy and http_proxy, and without a network fetch it elsewhere") from error
    with response:
        yield response


def _place(response, done):
    """Returns where in the file the response begins, and how long the file is."""
    length = response.headers.get("Content-Length")
    if response.status == 206:
        match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if match and int(match[1]) == done:
            return done, int(match[2])
        raise SlimResnetError(f"{response.url}: the server answers with another part of the file "
                              "than it was asked for")
    return 0, int(length) if length else None


def _chunks(response, url):
    try:
        while chunk := response.read(_CHUNK):
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise SlimResnetError(f"{url}: broke off: {error or type(error).__name__}; the same "
                              "command goes on with it") from error
