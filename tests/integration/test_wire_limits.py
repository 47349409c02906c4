"""Deadlines and limits: slow heads, slow bodies, slow readers, idle connections, too many connections."""

import resource
import socket
import time
import unittest

import wire
from wire import head

QUICK = ("--header-timeout-ms", "400", "--body-timeout-ms", "400", "--idle-timeout-ms", "800", "--min-rate", "10000")


class Deadlines(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = wire.FakeServer(*QUICK)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def trickle(self, client, data, every_s=0.05):
        """Send bytes one at a time until the server closes; the seconds that took."""
        began = time.monotonic()
        for byte in data:
            try:
                client.send(bytes([byte]))
            except OSError:
                break
            client.socket.settimeout(every_s)
            try:
                if not client.fill():
                    break
            except socket.timeout:
                continue
            except OSError:
                break
        return time.monotonic() - began

    def test_a_head_that_trickles_is_cut_off(self):
        with self.server.client() as client:
            took = self.trickle(client, head("GET", "/livez", "X: " + "y" * 1000))
            self.assertGreaterEqual(took, 0.35)
            self.assertLess(took, 10)

    def test_a_request_line_that_trickles_is_cut_off_on_a_used_connection(self):
        with self.server.client() as client:
            self.assertEqual(client.get("/livez").status, 200)
            took = self.trickle(client, b"GET /" + b"x" * 1000)
            self.assertGreaterEqual(took, 0.7)
            self.assertLess(took, 10)

    def test_a_connection_that_says_nothing_is_closed(self):
        with self.server.client() as client:
            self.assertTrue(client.is_closed())

    def test_an_idle_connection_is_closed_later_than_a_new_one(self):
        with self.server.client() as client:
            self.assertEqual(client.get("/livez").status, 200)
            time.sleep(0.5)
            self.assertEqual(client.get("/livez").status, 200)
            began = time.monotonic()
            self.assertTrue(client.is_closed())
            self.assertGreaterEqual(time.monotonic() - began, 0.7)

    def test_a_body_that_trickles_gets_408(self):
        with self.server.client() as client:
            client.send(head("POST", "/echo", "Content-Length: 100000"))
            self.trickle(client, b"x" * 500)
            client.socket.settimeout(wire.WAIT_S)
            self.assertEqual(client.reply().status, 408)
            self.assertTrue(client.is_closed())
        self.server.until_nothing_is_alive()

    def test_a_body_that_stops_gets_408(self):
        with self.server.client() as client:
            client.send(head("POST", "/echo", "Content-Length: 100000") + b"x" * 90000)
            self.assertEqual(client.reply().status, 408)

    def test_a_body_that_is_slow_but_fast_enough_arrives(self):
        with self.server.client() as client:
            client.send(head("POST", "/echo", "Content-Length: 40000"))
            for _ in range(20):
                client.send(b"x" * 2000)
                time.sleep(0.06)
            self.assertEqual(len(client.reply().body), 40000)

    def test_a_body_that_waits_for_the_server_is_not_blamed(self):
        with self.server.client() as client:
            self.assertEqual(len(client.post("/gate", b"x" * 700000).body), 700000)
            # 1000 bytes in 300 ms are a third of the rate that is asked for
            self.assertEqual(len(client.post("/gate?ms=300", b"x" * 5000).body), 5000)

    def test_a_reader_that_stops_is_cut_off(self):
        for target in ("/pull?bytes=30000000", "/pull?bytes=30000000&stall=1"):
            with self.subTest(target), self.server.client(receive_buffer=4096) as client:
                client.send(head("GET", target))
                wire.until(lambda: self.server.counts()["alive"] > 0, "the request")
                wire.until(lambda: self.server.counts()["alive"] == 0, "the end of a reader that stopped")
                with self.assertRaises((AssertionError, ConnectionError)):
                    client.reply()

    def test_a_reader_that_is_slow_but_fast_enough_gets_all(self):
        with self.server.client(receive_buffer=4096) as client:
            client.send(head("GET", "/pull?bytes=3000000"))
            deadline = time.monotonic() + 2
            while time.monotonic() < deadline:
                client.socket.setblocking(True)
                client.data += client.socket.recv(4096)
                time.sleep(0.01)
            self.assertEqual(len(client.reply().body), 3000005)

    def test_a_long_wait_for_an_answer_is_no_idleness(self):
        with self.server.client() as client:
            self.assertEqual(client.get("/slow?ms=1500").body, b"slow")


class Crowds(unittest.TestCase):
    def test_beyond_the_limit_health_is_answered_and_the_rest_is_shed(self):
        with wire.FakeServer("--max-connections", "4", "--shards", "2") as server:
            kept = [server.client() for _ in range(4)]
            for client in kept:
                self.assertEqual(client.get("/livez").status, 200)
            with server.client() as extra:
                reply = extra.get("/livez")
                self.assertEqual((reply.status, reply.headers["connection"]), (200, "close"))
                self.assertTrue(extra.is_closed())
            with server.client() as extra:
                reply = extra.get("/v1/metrics?x=1")
                self.assertIn(reply.status, (200, 404))  # the fake knows no /v1
            with server.client() as extra:
                reply = extra.post("/echo", b"hello")
                self.assertEqual((reply.status, reply.headers["retry-after"]), (503, "1"))
                self.assertTrue(extra.is_closed())
            reserve = [server.client() for _ in range(16)]
            wire.until(lambda: self.shed_now(server), "shedding")
            for client in kept:
                self.assertEqual(client.get("/livez").status, 200)
            for client in kept + reserve:
                client.socket.close()
            wire.until(lambda: self.serves(server), "service after the crowd has left")

    def shed_now(self, server):
        with server.client() as client:
            reply = client.get("/livez")
            if reply.status == 200:
                return False
            self.assertEqual(reply.status, 503)
            for name in ("retry-after", "x-request-id", "server-timing"):
                self.assertIn(name, reply.headers)
            self.assertIn(b'"number":1013', reply.body)
            return client.is_closed()

    def serves(self, server):
        with server.client() as client:
            try:
                return client.post("/echo", b"x").status == 200
            except ConnectionError:
                return False  # shed while it was still sending

    def test_running_out_of_descriptors_is_survived(self):
        with wire.FakeServer("--shards", "1") as server:
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (40, 40))
            clients = [server.client() for _ in range(60)]
            wire.until(lambda: "cannot accept a connection" in server.log(), "the log line")
            self.assertEqual(clients[0].get("/livez").status, 200)
            for client in clients:
                client.socket.close()
            wire.until(lambda: self.serves(server), "service after the descriptors came back")

    def test_good_clients_are_served_beside_many_slow_ones(self):
        with wire.FakeServer("--header-timeout-ms", "20000") as server:
            slow = []
            for i in range(400):
                client = server.client()
                client.send([b"GET /li", head("POST", "/echo", "Content-Length: 9"), b"GET / HTTP/1.1\r\nX: "][i % 3])
                slow.append(client)
            with server.client() as good:
                began = time.monotonic()
                for _ in range(200):
                    self.assertEqual(good.get("/livez").status, 200)
                self.assertLess(time.monotonic() - began, 10)
            for client in slow:
                client.socket.close()
            server.until_nothing_is_alive()


if __name__ == "__main__":
    unittest.main()
