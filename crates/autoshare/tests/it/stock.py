"""Fills the folder of an origin with one tiny package for each package manager, and a git repository.

usage: stock.py FOLDER https://HOST:PORT
"""

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile

folder, url = sys.argv[1:]


def put(name, content):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        out.write(content)


def tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


# PyPI (PEP 503)
wheel = io.BytesIO()
with zipfile.ZipFile(wheel, "w") as archive:
    archive.writestr("tiny.py", "word = 'tiny of pip'\n")
    info = "tiny-1.0.dist-info/"
    archive.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
    archive.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    archive.writestr(info + "RECORD", "tiny.py,,\n" + "".join(f"{info}{n},,\n" for n in ("METADATA", "WHEEL", "RECORD")))
put("simple/tiny/index.html", b'<a href="/wheels/tiny-1.0-py3-none-any.whl">tiny-1.0-py3-none-any.whl</a>')
put("wheels/tiny-1.0-py3-none-any.whl", wheel.getvalue())

# npm
package = tar({
    "package/package.json": json.dumps({"name": "tiny", "version": "1.0.0"}),
    "package/index.js": "module.exports = 'tiny of npm'\n",
})
integrity = "sha512-" + base64.b64encode(hashlib.sha512(package).digest()).decode()
dist = {"tarball": f"{url}/npm-files/tiny-1.0.0.tgz", "integrity": integrity}
version = {"name": "tiny", "version": "1.0.0", "dist": dist}
put("npm/tiny", json.dumps({"name": "tiny", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}).encode())
put("npm-files/tiny-1.0.0.tgz", package)

# cargo (sparse index)
crate = tar({
    "tiny-1.0.0/Cargo.toml": '[package]\nname = "tiny"\nversion = "1.0.0"\nedition = "2021"\n',
    "tiny-1.0.0/src/lib.rs": "// tiny of cargo\n",
})
line = {"name": "tiny", "vers": "1.0.0", "deps": [], "features": {}, "yanked": False}
put("index/ti/ny/tiny", (json.dumps({**line, "cksum": hashlib.sha256(crate).hexdigest()}) + "\n").encode())
put("index/config.json", json.dumps({"dl": url + "/crates/{crate}-{version}.crate"}).encode())
put("crates/tiny-1.0.0.crate", crate)

# git
bare = os.path.join(folder, "git/tiny.git")
os.makedirs(bare)
quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
subprocess.run(["git", "init", "--bare", "-b", "main", bare], **quiet)
tree = subprocess.run(["git", "-C", bare, "mktree"], input=b"", stdout=subprocess.PIPE, check=True).stdout.strip()
who = ["-c", "user.name=a", "-c", "user.email=a@b"]
commit = subprocess.run(["git", "-C", bare, *who, "commit-tree", tree, "-m", "tiny of git"], stdout=subprocess.PIPE, check=True)
subprocess.run(["git", "-C", bare, "update-ref", "refs/heads/main", commit.stdout.strip()], **quiet)
