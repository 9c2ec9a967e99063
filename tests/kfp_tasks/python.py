"""The client of `server`: the Python that KFP's runner starts for a task, in its place.

    python -IS python.py ADDRESS -m MODULE ARGUMENT...

It ends as the program ends. It imports almost nothing: a task starts three of it.
"""

import _socket
import marshal
import os
import sys

address, option, *program = sys.argv[1:]
if option != "-m":
    sys.exit(f"no program is forked for {option}")
request = marshal.dumps((program, os.getcwd(), dict(os.environ)))
streams = b"".join(stream.to_bytes(4, sys.byteorder) for stream in (0, 1, 2))
server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
server.connect(address)
server.sendmsg([len(request).to_bytes(8, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
server.sendall(request)
sys.exit(int(server.recv(8)))
