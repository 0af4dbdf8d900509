"""TLS in front of a server of plain HTTP.

usage: front.py CERTIFICATE KEY PORT   (prints its own port)
"""

import asyncio
import ssl
import sys

certificate, key, behind = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)


async def carry(reader, writer):
    try:
        while part := await reader.read(65536):
            writer.write(part)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def serve(reader, writer):
    inner, outer = await asyncio.open_connection("127.0.0.1", int(behind))
    await asyncio.gather(carry(reader, outer), carry(inner, writer))


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
