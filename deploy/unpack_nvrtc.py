"""Unpack the wheels of a folder into one tree of lib/ and include/, as a CUDA toolkit has it.

usage: unpack_nvrtc.py WHEELS TARGET

The wheels hold nvidia/<component>/{lib,include}/...; the component is dropped, so that CUDA 12's many and CUDA 13's one
end up alike. Left out: the alternative builds of NVRTC and everything that no kernel source can include.
"""

import os
import sys
import zipfile

wheels, target = sys.argv[1:]
for wheel in sorted(os.listdir(wheels)):
    if not wheel.endswith(".whl"):
        continue
    with zipfile.ZipFile(os.path.join(wheels, wheel)) as archive:
        for name in archive.namelist():
            parts = name.split("/")
            if len(parts) < 4 or parts[0] != "nvidia" or parts[2] not in ("lib", "include") or ".." in parts:
                continue
            if name.endswith(("/", ".a")) or ".alt." in name or "libcudart" in name:
                continue
            path = os.path.join(target, *parts[2:])
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(archive.read(name))
