"""What a hostile or broken client may put on the wire, and that nothing after it is read as another request."""

import unittest

import wire
from wire import chunked, head

SMUGGLED = head("GET", "/livez", "X-Smuggled: 1")

# why, bytes of the first request, statuses that are right for it (None: closed without an answer)
REFUSED = [
    ("two Content-Length", head("POST", "/echo", "Content-Length: 5", "Content-Length: 6") + b"hello", {400}),
    ("equal Content-Length", head("POST", "/echo", "Content-Length: 5", "Content-Length: 5") + b"hello", {400}),
    ("Content-Length and chunked", head("POST", "/echo", "Content-Length: 5", "Transfer-Encoding: chunked") +
     chunked([b"hello"]), {400}),
    ("chunked and Content-Length", head("POST", "/echo", "Transfer-Encoding: chunked", "Content-Length: 5") +
     chunked([b"hello"]), {400}),
    ("space before colon", head("POST", "/echo", "Content-Length : 5") + b"hello", {400}),
    ("tab before colon", head("POST", "/echo", "Content-Length\t: 5") + b"hello", {400}),
    ("folded line", head("POST", "/echo", "X: a", " b", "Content-Length: 5") + b"hello", {400}),
    ("folded length", head("POST", "/echo", "Content-Length: 5", "\t0") + b"hello", {400}),
    ("bare line feeds", b"POST /echo HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello", {400}),
    ("one bare line feed", b"POST /echo HTTP/1.1\r\nHost: a\nContent-Length: 5\r\n\r\nhello", {400}),
    ("two Hosts", head("GET", "/livez", "Host: b"), {400}),
    ("no Host", head("GET", "/livez", host=""), {400}),
    ("NUL in a value", head("GET", "/livez", "X: a\0b"), {400}),
    ("NUL in a name", head("GET", "/livez", "X\0Y: a"), {400}),
    ("NUL in the target", head("GET", "/live\0z"), {400, None}),
    ("encoded NUL", head("GET", "/livez%00x"), {400}),
    ("dot-dot", head("GET", "/a/../livez"), {400}),
    ("encoded dot-dot", head("GET", "/a/%2e%2e/livez"), {400}),
    ("double slash", head("GET", "//livez"), {400}),
    ("raw UTF-8", head("GET", "/\xe4"), {400}),
    ("a blank in the target", head("GET", "/livez x"), {400}),
    ("a line without colon", head("GET", "/livez", "nonsense"), {400}),
    ("signed length", head("POST", "/echo", "Content-Length: +5") + b"hello", {400}),
    ("negative length", head("POST", "/echo", "Content-Length: -1") + b"hello", {400}),
    ("length with a tail", head("POST", "/echo", "Content-Length: 5x") + b"hello", {400}),
    ("list of lengths", head("POST", "/echo", "Content-Length: 5, 5") + b"hello", {400}),
    ("hexadecimal length", head("POST", "/echo", "Content-Length: 0x5") + b"hello", {400}),
    ("2^64", head("POST", "/echo", "Content-Length: 18446744073709551616") + b"hello", {400, 413}),
    ("another coding", head("POST", "/echo", "Transfer-Encoding: gzip") + b"hello", {400}),
    ("two codings", head("POST", "/echo", "Transfer-Encoding: gzip, chunked") + chunked([b"hello"]), {400}),
    ("coding twice", head("POST", "/echo", "Transfer-Encoding: chunked", "Transfer-Encoding: identity") +
     chunked([b"hello"]), {400}),
    # a blank after the value is legal; libmicrohttpd 0.9 does not know the coding then, 1.0 does
    ("chunked with a blank", head("POST", "/echo", "Transfer-Encoding: chunked ") + chunked([b"hello"]), {200, 400}),
    ("chunks in HTTP/1.0", b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked([b"x"]), {400}),
    ("a chunk of no size", head("POST", "/echo", "Transfer-Encoding: chunked") + b"\r\nhello\r\n0\r\n\r\n", {400}),
    ("a negative chunk", head("POST", "/echo", "Transfer-Encoding: chunked") + b"-1\r\nhello\r\n0\r\n\r\n", {400}),
    ("a chunk of 2^64", head("POST", "/echo", "Transfer-Encoding: chunked") + b"10000000000000000\r\nx", {400, 413}),
    ("a chunk with a prefix", head("POST", "/echo", "Transfer-Encoding: chunked") + b"0x5\r\nhello\r\n0\r\n\r\n", {400}),
    ("a chunk that is longer", head("POST", "/echo", "Transfer-Encoding: chunked") + b"3\r\nhello\r\n0\r\n\r\n", {400}),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505, None}),
    ("HTTP/9.9", b"GET /livez HTTP/9.9\r\nHost: a\r\n\r\n", {400, 505, None}),
    ("HTTP/0.9", b"GET /livez\r\n\r\n", {400, 505, None}),
    ("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", {400, None}),
    ("too many headers", head("GET", "/livez", *[f"X-{i}: v" for i in range(200)]), {431}),
    ("a header of 70 KiB", head("GET", "/livez", "X: " + "v" * 70000), {431}),
    ("a header of 400 KiB", head("GET", "/livez", "X: " + "v" * 400000), {431}),
    ("a target of 20 KiB", head("GET", "/" + "a" * 20000), {414}),
    ("a target of 200 KiB", head("GET", "/" + "a" * 200000), {414}),
]


class Guard(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = wire.FakeServer()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_refused_requests_end_their_connection_and_nothing_after_them_is_read(self):
        for why, request, statuses in REFUSED:
            with self.subTest(why), self.server.client() as client:
                try:
                    client.send(request + SMUGGLED)
                    reply = client.reply()
                except ConnectionError:
                    reply = None  # reset while we were still sending a head that is far too long
                    statuses = statuses | ({None} if len(request) > 100000 else set())
                self.assertIn(reply and reply.status, statuses, reply)
                if reply and reply.status == 200:
                    self.assertEqual(client.reply().body, b"live\n")
                elif reply:
                    self.assertEqual(reply.headers.get("connection"), "close", reply)
                    self.assertIn("x-request-id", reply.headers, "a page of the library's own")
                if not reply or reply.status != 200:
                    self.assertTrue(client.is_closed(), f"more came: {client.data!r}")
        self.server.until_nothing_is_alive()

    def test_our_refusals_have_the_common_headers(self):
        with self.server.client() as client:
            reply = client.get("/livez", "Host: b", "X-Request-ID: mine")
            self.assertEqual(reply.status, 400)
            for name in ("date", "server", "x-request-id", "server-timing", "content-length"):
                self.assertIn(name, reply.headers)
            self.assertEqual(reply.headers["x-request-id"], "mine")

    def test_a_refusal_reaches_a_client_whose_body_is_still_coming(self):
        with self.server.client() as client:
            client.send(head("POST", "/echo", "Content-Length: 5000000", "Content-Length: 5"))
            self.assertEqual(client.reply().status, 400)
            for _ in range(20):  # these would have been answered by a reset, had the server closed at once
                try:
                    client.send(b"x" * 1000)
                except ConnectionError:
                    break
            self.assertTrue(client.is_closed())

    def test_legal_oddities_are_served(self):
        for why, request in [
                ("absolute-form", head("GET", "http://a/livez")),
                ("an empty line before", b"\r\n" + head("GET", "/livez")),
                ("no blank after the colon", b"GET /livez HTTP/1.1\r\nHost:a\r\n\r\n"),
                ("HTTP/1.0", b"GET /livez HTTP/1.0\r\n\r\n"),
                ("an empty header", head("GET", "/livez", "X:")),
                ("a body on GET", head("GET", "/livez", "Content-Length: 3") + b"abc"),
                ("chunk extensions and trailers", head("POST", "/livez", "Transfer-Encoding: chunked") +
                 b"3;a=b\r\nabc\r\n0\r\nX-T: 1\r\n\r\n")]:
            with self.subTest(why), self.server.client() as client:
                client.send(request)
                reply = client.reply()
                self.assertEqual((reply.status, reply.body), (200, b"live\n"))

    def test_the_api_sees_target_and_headers_as_they_were_sent(self):
        with self.server.client() as client:
            reply = client.get("/head?q=%2e%20+&r", "X-Test: a  b ", "Content-Length: 0",
                               "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            text = reply.body.decode()
            self.assertIn("target=/head?q=%2e%20+&r\n", text)
            self.assertIn("X-Test=a  b", text)
            self.assertIn("traceparent=00-0af7", text)
            self.assertIn("body_bytes=0\n", text)

    def test_request_ids(self):
        with self.server.client() as client:
            self.assertEqual(client.get("/livez", "X-Request-ID: abc-1").headers["x-request-id"], "abc-1")
            made = client.get("/livez", "X-Request-ID: a b").headers["x-request-id"]
            self.assertRegex(made, "^[0-9a-f]{32}$")
            self.assertNotEqual(client.get("/livez").headers["x-request-id"], made)
            self.assertEqual(client.get("/livez", "X-Request-ID: " + "a" * 128).headers["x-request-id"], "a" * 128)
            self.assertNotEqual(client.get("/livez", "X-Request-ID: " + "a" * 129).headers["x-request-id"], "a" * 129)


if __name__ == "__main__":
    unittest.main()
