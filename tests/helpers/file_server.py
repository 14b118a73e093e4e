"""A server of one file on this machine, that answers as badly as a test wants."""

import contextlib
import http.server
import threading


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves one file, in parts too; its server says how."""

    def do_GET(self):
        server = self.server
        server.asked.append(self.headers.get("Range"))
        if self.path != "/file":
            return self.send_error(404)
        begin = 0
        if "Range" in self.headers and self.headers["If-Range"] == server.tag:
            begin = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            if begin >= len(server.content):
                return self.send_error(416)
            self.send_response(206)
            first = begin + server.shift
            self.send_header("Content-Range", f"bytes {first}-{len(server.content) - 1}/"
                             f"{len(server.content)}")
        else:
            self.send_response(200)
        if server.tag:
            self.send_header("ETag", server.tag)
        rest = server.content[begin:]
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[:server.most])

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(content):
    """Yields a server; ``most`` bytes an answer, then it breaks off."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.content, server.tag = content, '"1"'
    server.most, server.shift, server.asked = None, 0, []
    server.url = f"http://127.0.0.1:{server.server_port}/file"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
