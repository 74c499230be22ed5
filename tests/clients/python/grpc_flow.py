"""gRPC through the gate: a server without generated code, and what its clients see.

Guarantees: `serve` prints its port and serves until it is killed; any other story prints one line for each verified step
and ends with an error at the first surprise.
Does not know: how the gate is set up; it is told where it is, and two tokens and a session.
"""

import base64
import sys
import threading
import time
import urllib.request
from concurrent import futures

import grpc

sys.dont_write_bytecode = True  # nothing is left behind among the sources
import gate

SERVICE = "chat.Chat"
cancelled = threading.Semaphore(0)


def told(context):
    """Answers with custom trailers, and says in them who the gate says is asking."""
    sent = dict(context.invocation_metadata())
    context.set_trailing_metadata((("x-user", sent.get("x-auth-subject", "nobody")), ("x-bytes-bin", b"\x00\xff")))


def say(request, context):
    if request == b"fail":
        told(context)
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "for a reason: ä%")
    if request == b"was one cancelled?":
        return b"yes" if cancelled.acquire(timeout=5) else b"no"
    told(context)
    return b"said " + request


def count(request, context):
    told(context)
    for number in range(int(request)):
        yield b"%d" % number


def gather(requests, context):
    return b",".join(requests)


def talk(requests, context):
    context.add_callback(lambda: None if context.code() else cancelled.release())
    for request in requests:
        yield request.upper()


def serve():
    server = grpc.server(futures.ThreadPoolExecutor(8))
    handlers = {
        "Say": grpc.unary_unary_rpc_method_handler(say),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Gather": grpc.stream_unary_rpc_method_handler(gather),
        "Talk": grpc.stream_stream_rpc_method_handler(talk),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    # The importer's own deadline ends it at the latest.
    server.wait_for_termination()


class Client:
    def __init__(self, address, token):
        channel = grpc.insecure_channel(address, options=(("grpc.enable_retries", 0),))
        self.metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self.say = channel.unary_unary(f"/{SERVICE}/Say")
        self.count = channel.unary_stream(f"/{SERVICE}/Count")
        self.gather = channel.stream_unary(f"/{SERVICE}/Gather")
        self.talk = channel.stream_stream(f"/{SERVICE}/Talk")


def kinds(address, token, other, session):
    client = Client(address, token)
    answer, call = client.say.with_call(b"hello", metadata=client.metadata, timeout=20)
    gate.expect(answer == b"said hello", answer)
    trailers = dict(call.trailing_metadata())
    gate.expect(trailers.get("x-user") == "alice" and trailers.get("x-bytes-bin") == b"\x00\xff", trailers)
    gate.ok("unary, with metadata behind the answer")
    failed = gate.refusal(lambda: client.say(b"fail", metadata=client.metadata, timeout=20), grpc.RpcError)
    gate.expect(failed.code() == grpc.StatusCode.FAILED_PRECONDITION, failed)
    gate.expect(failed.details() == "for a reason: ä%", failed.details())
    gate.expect(dict(failed.trailing_metadata()).get("x-user") == "alice", failed)
    gate.ok("an error of the server's own")
    large = bytes(1_000_000)
    gate.expect(client.say(large, metadata=client.metadata, timeout=20) == b"said " + large, "a large message")
    gate.ok("a large message")
    numbers = list(client.count(b"1000", metadata=client.metadata, timeout=20))
    gate.expect(numbers == [b"%d" % number for number in range(1000)], numbers)
    gate.ok("server streaming")
    words = (b"%d" % number for number in range(1000))
    gathered = client.gather(words, metadata=client.metadata, timeout=20)
    gate.expect(gathered == b",".join(b"%d" % number for number in range(1000)), gathered)
    gate.ok("client streaming")
    turn = threading.Semaphore(1)

    def ask():
        for word in (b"one", b"two", b"three"):
            turn.acquire(timeout=20)
            yield word

    heard = []
    for word in client.talk(ask(), metadata=client.metadata, timeout=20):
        heard.append(word)
        turn.release()
    gate.expect(heard == [b"ONE", b"TWO", b"THREE"], heard)
    gate.ok("both ways, by turns")


def refusals(address, token, other, session):
    for given, code in ((None, "UNAUTHENTICATED"), ("nonsense", "UNAUTHENTICATED"), (other, "PERMISSION_DENIED")):
        client = Client(address, given)
        failed = gate.refusal(lambda: client.say(b"x", metadata=client.metadata, timeout=20), grpc.RpcError)
        gate.expect(failed.code().name == code, failed)
        stream = client.talk(iter([b"x"]), metadata=client.metadata, timeout=20)
        failed = gate.refusal(lambda: next(stream), grpc.RpcError)
        gate.expect(failed.code().name == code and failed.details(), failed)
    gate.ok("16 without a token, 7 beyond its scopes")


def endless(stop):
    yield b"first"
    stop.wait(30)


def cancel(address, token, other, session):
    client, stop = Client(address, token), threading.Event()
    stream = client.talk(endless(stop), metadata=client.metadata)
    gate.expect(next(stream) == b"FIRST", "an answer")
    stream.cancel()
    stop.set()
    answer = client.say(b"was one cancelled?", metadata=client.metadata, timeout=20)
    gate.expect(answer == b"yes", answer)
    gate.ok("heard of a cancelled call")


def revocation(address, token, other, session):
    client, stop = Client(address, token), threading.Event()
    stream = client.talk(endless(stop), metadata=client.metadata)
    gate.expect(next(stream) == b"FIRST", "an answer")
    request = urllib.request.Request(f"{gate.URL}/3rdparty/v1/auth/token/{session}", method="DELETE")
    request.add_header("Authorization", "Basic " + base64.b64encode(f"{gate.USER}:{gate.PASSWORD}".encode()).decode())
    urllib.request.urlopen(request, timeout=10)
    start = time.monotonic()
    gate.refusal(lambda: next(stream), grpc.RpcError)
    took = time.monotonic() - start
    gate.expect(took < 1, f"{took} s")
    stop.set()
    failed = gate.refusal(lambda: client.say(b"x", metadata=client.metadata, timeout=20), grpc.RpcError)
    gate.expect(failed.code() == grpc.StatusCode.UNAUTHENTICATED, failed)
    gate.ok("ended with its session")


if sys.argv[1] == "serve":
    serve()
else:
    {"kinds": kinds, "refusals": refusals, "cancel": cancel, "revocation": revocation}[sys.argv[1]](*sys.argv[2:])
