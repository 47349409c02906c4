"""Bodies in, bodies out: keep-alive, pipelines, chunks, early answers, pulled answers, clients that leave."""

import os
import random
import socket
import time
import unittest

import wire
from wire import chunked, head


def pattern(count):
    return bytes((i * 2654435761 & 0xffffffff) >> 16 & 0xff for i in range(count))


class Flow(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # deadlines far off: whoever leaves must be noticed by himself
        cls.server = wire.FakeServer("--header-timeout-ms", "600000", "--body-timeout-ms", "600000")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def client(self, **options):
        client = self.server.client(**options)
        self.addCleanup(client.socket.close)
        return client

    def test_a_connection_is_kept(self):
        client = self.client()
        for body in (b"", b"x", b"y" * 100000, os.urandom(3000000)):
            reply = client.post("/echo", body)
            self.assertEqual(reply.status, 200)
            self.assertEqual(reply.body, body)
            self.assertNotIn("connection", reply.headers)
        self.assertEqual(client.get("/missing").status, 404)
        self.assertEqual(client.get("/nothing").status, 204)
        self.assertEqual(client.get("/livez").status, 200)

    def test_every_answer_has_the_common_headers(self):
        client = self.client()
        for method, target, status in [("GET", "/livez", 200), ("GET", "/missing", 404), ("GET", "/nothing", 204),
                                       ("HEAD", "/livez", 200), ("GET", "/pull?bytes=10", 200), ("PATCH", "/no", 404)]:
            reply = client.get(target, method=method)
            self.assertEqual(reply.status, status)
            for name in ("date", "x-request-id", "server-timing"):
                self.assertIn(name, reply.headers, target)
            self.assertEqual(reply.headers["server"], "gpudispatchd")
            self.assertRegex(reply.headers["server-timing"], r"^total;dur=\d+\.\d+")
        self.assertRegex(client.post("/echo", b"x").headers["server-timing"], r"^total;dur=[\d.]+, kernel;dur=0.5$")

    def test_head_tells_the_length_and_sends_no_body(self):
        client = self.client()
        self.assertEqual(client.get("/livez", method="HEAD").headers["content-length"], "5")
        self.assertEqual(client.get("/pull?bytes=1000", method="HEAD").headers["content-length"], "1005")
        self.assertEqual(client.get("/pieces", method="HEAD").headers["content-length"], "13")
        self.assertEqual(client.get("/livez").body, b"live\n")

    def test_a_pipeline_is_answered_in_order(self):
        client = self.client()
        bodies = [b"%d" % i * (i % 50) for i in range(300)]
        client.send(b"".join(head("POST", "/echo", f"Content-Length: {len(b)}") + b for b in bodies))
        for body in bodies:
            self.assertEqual(client.reply().body, body)

    def test_a_pipeline_waits_for_its_slow_members(self):
        client = self.client()
        client.send(head("GET", "/slow?ms=30") + head("POST", "/gate", "Content-Length: 5000") + b"g" * 5000 +
                    head("GET", "/pull?bytes=300000&stall=1") + head("GET", "/livez"))
        self.assertEqual(client.reply().body, b"slow")
        self.assertEqual(client.reply().body, b"g" * 5000)
        self.assertEqual(len(client.reply().body), 300005)
        self.assertEqual(client.reply().body, b"live\n")

    def test_a_hundred_thousand_chunks_of_one_byte(self):
        client = self.client()
        body = os.urandom(100000)
        client.send(head("POST", "/echo", "Transfer-Encoding: chunked"))
        whole = chunked(body[i:i + 1] for i in range(len(body)))
        for at in range(0, len(whole), 60000):
            client.send(whole[at:at + 60000])
        self.assertEqual(client.reply().body, body)
        self.assertEqual(client.get("/livez").status, 200)

    def test_chunks_cut_anywhere(self):
        client = self.client()
        dice = random.Random(1)
        for _ in range(20):
            body = os.urandom(dice.randrange(5000))
            pieces, at = [], 0
            while at < len(body):
                step = dice.randrange(1, 700)
                pieces.append(body[at:at + step])
                at += step
            whole = head("POST", "/gate", "Transfer-Encoding: chunked") + chunked(pieces)
            at = 0
            while at < len(whole):
                step = dice.randrange(1, 900)
                client.send(whole[at:at + step])
                at += step
            self.assertEqual(client.reply().body, body)

    def test_a_body_that_the_api_takes_slowly_arrives_whole(self):
        client = self.client()
        body = os.urandom(200000)
        for target in ("/gate", "/gate-first"):
            self.assertEqual(client.post(target, body).body, body)
            client.send(head("POST", target, "Transfer-Encoding: chunked") +
                        chunked(body[i:i + 777] for i in range(0, len(body), 777)))
            self.assertEqual(client.reply().body, body)

    def test_every_split_of_a_request_gives_the_same_answer(self):
        request = head("POST", "/gate", "Content-Length: 40") + b"0123456789" * 4
        client = self.client()
        for cut in range(1, len(request)):
            client.send(request[:cut])
            client.send(request[cut:])
            self.assertEqual(client.reply().body, b"0123456789" * 4)

    def test_expect_continue_gets_its_continue(self):
        client = self.client()
        for target in ("/echo", "/gate-first"):
            client.send(head("POST", target, "Content-Length: 5", "Expect: 100-continue"))
            self.assertEqual(client.reply().status, 100)
            client.send(b"hello")
            self.assertEqual(client.reply().body, b"hello")

    def test_a_refusal_comes_before_the_expected_body(self):
        client = self.client()
        client.send(head("POST", "/small", "Content-Length: 5000", "Expect: 100-continue"))
        reply = client.reply()
        self.assertEqual(reply.status, 413)
        self.assertEqual(reply.headers["connection"], "close")
        self.assertTrue(client.is_closed())

    def test_a_short_refused_body_keeps_the_connection(self):
        client = self.client()
        self.assertEqual(client.post("/small", b"x" * 100000).status, 413)
        self.assertEqual(client.post("/missing", b"x" * 100000).status, 404)
        self.assertEqual(client.post("/small", b"x").body, b"fits")

    def test_a_long_refused_body_is_answered_at_once(self):
        client = self.client()
        client.send(head("POST", "/small", "Content-Length: 1000000000") + b"x" * 5000)
        reply = client.reply()
        self.assertEqual(reply.status, 413)
        self.assertEqual(reply.headers["connection"], "close")
        self.assertEqual(reply.body, b"too large")
        self.assertTrue(client.is_closed())

    def test_an_endless_chunked_body_is_answered_when_it_is_too_long(self):
        client = self.client()
        client.send(head("POST", "/small", "Transfer-Encoding: chunked") + b"3e9\r\n" + b"x" * 1001 + b"\r\n5\r\n")
        self.assertEqual(client.reply().status, 413)

    def test_a_decision_while_the_body_waits_is_told_at_once(self):
        client = self.client()
        client.send(head("POST", "/late", "Content-Length: 5000") + b"x" * 2000)
        reply = client.reply()
        self.assertEqual((reply.status, reply.body), (413, b"refused late"))
        self.assertTrue(client.is_closed())

    def test_a_client_that_only_writes_reads_its_refusal_at_the_end(self):
        client = self.client()
        client.send(head("POST", "/small", "Content-Length: 3000000"))
        sent = 0
        try:
            while sent < 3000000:
                sent += client.socket.send(b"x" * 100000)
        except ConnectionError:
            self.fail(f"reset after {sent} bytes")
        self.assertEqual(client.reply().status, 413)

    def test_pulled_bodies_arrive_whole(self):
        client = self.client()
        for size in (0, 1, 65536, 131072, 1000000):
            for stall in ("", "&stall=1"):
                reply = client.get(f"/pull?bytes={size}{stall}")
                self.assertEqual(reply.body, b"head:" + pattern(size))
        self.assertEqual(client.get("/pieces").body, b"one two three")

    def test_ten_mebibytes_are_pulled_by_a_slow_reader(self):
        client = self.client(receive_buffer=4096)
        size = 10 << 20
        client.send(head("GET", f"/pull?bytes={size}&stall=1"))
        before = time.monotonic()
        while time.monotonic() < before + 0.3:  # the server meets a full socket
            time.sleep(0.05)
        reply = client.reply()
        self.assertEqual(len(reply.body), size + 5)
        self.assertEqual(reply.body[-1000:], pattern(size)[-1000:])

    def test_a_pull_that_breaks_closes(self):
        client = self.client()
        client.send(head("GET", "/broken-pull?bytes=1000000"))
        with self.assertRaises((AssertionError, ConnectionError)):
            client.reply()

    def test_a_client_that_leaves_while_it_waits_frees_its_exchange(self):
        for leave in ("close", "reset", "half"):
            client = self.client()
            client.send(head("GET", "/hang"))
            wire.until(lambda: self.server.counts()["alive"] == 1, "the exchange")
            if leave == "close":
                client.socket.close()
            elif leave == "reset":
                client.drop()
            else:
                client.socket.shutdown(socket.SHUT_WR)
            self.server.until_nothing_is_alive()

    def test_a_client_that_half_closes_still_gets_answers_that_are_at_hand(self):
        client = self.client()
        client.send(head("GET", "/livez") * 3 + head("POST", "/echo", "Content-Length: 200000") + b"x" * 200000)
        client.socket.shutdown(socket.SHUT_WR)
        for _ in range(3):
            self.assertEqual(client.reply().body, b"live\n")
        self.assertEqual(client.reply().body, b"x" * 200000)
        self.assertTrue(client.is_closed())

    def test_a_client_that_leaves_at_any_byte_leaves_nothing_behind(self):
        requests = [
            head("POST", "/gate", "Content-Length: 3000") + b"x" * 3000,
            head("POST", "/echo", "Transfer-Encoding: chunked") + chunked([b"a" * 10, b"b" * 300, b"c"]),
            head("GET", "/pull?bytes=3000000&stall=1"),
            head("POST", "/late", "Content-Length: 2000") + b"x" * 2000,
            head("POST", "/small", "Content-Length: 400000") + b"x" * 2000,
            head("GET", "/slow?ms=20"),
            head("POST", "/echo", "Content-Length: 10", "Expect: 100-continue"),
        ]
        for request in requests:
            step = 1 if len(request) < 400 else 37
            for cut in list(range(1, len(request), step)) + [len(request)]:
                client = self.server.client()
                client.send(request[:cut])
                if cut % 2:
                    client.drop()
                else:
                    client.socket.close()
        self.server.until_nothing_is_alive()

    def test_clients_that_leave_while_they_read_leave_nothing_behind(self):
        for size in (1, 1000, 100000, 700000):
            for leave in ("drop", "close"):
                client = self.server.client(receive_buffer=4096)
                client.send(head("GET", "/pull?bytes=2000000&stall=1"))
                got = 0
                while got < size:
                    got += len(client.socket.recv(65536))
                if leave == "drop":
                    client.drop()
                else:
                    client.socket.close()
        self.server.until_nothing_is_alive()

    def test_many_connections_at_once(self):
        clients = [self.client() for _ in range(200)]
        for i, client in enumerate(clients):
            client.send(head("GET", f"/slow?ms={i % 40}") if i % 3 else head("POST", "/gate", "Content-Length: 4000"))
        for i, client in enumerate(clients):
            if i % 3 == 0:
                client.send(b"z" * 4000)
        for i, client in enumerate(clients):
            self.assertEqual(client.reply().body, b"slow" if i % 3 else b"z" * 4000)


if __name__ == "__main__":
    unittest.main()
