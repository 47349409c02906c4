"""Print tests/bench/run.sh's measurements as markdown: medians over the rounds, and ratios to the floor.

usage: table.py MEASURED MEMORY BINARY_BYTES HIT_BYTES PIPELINE_ID
"""

import collections
import os
import statistics
import sys

CASES = (("hit", "compile hit"), ("dispatch", "saxpy dispatch, 8 KiB in, 4 KiB out"))


def read(path):
    """{(case, connections): [(requests/s, p50, p99), ...]} and {case: failed requests}."""
    rounds, failed = collections.defaultdict(list), collections.Counter()
    with open(path, encoding="ascii") as file:
        for line in file:
            case, connections, requests, seconds, p50, p99, refused, errors = line.split()
            rounds[case, int(connections)].append((int(requests) / float(seconds), int(p50), int(p99)))
            failed[case] += int(refused) + int(errors)
    return rounds, failed


def main():
    measured, memory, binary, hit_bytes, pipeline = sys.argv[1:]
    rounds, failed = read(measured)
    count = min(len(values) for values in rounds.values())
    print(f"Medians of {count} rounds, in turns with a bare libmicrohttpd that takes and answers the same bytes; "
          f"{os.cpu_count()} processors shared by client and servers; device `{pipeline.split(':')[0]}`; "
          f"{sum(failed.values())} failed requests. A compile hit's answer has {hit_bytes} bytes.\n")
    for case, count in failed.items():
        if count:
            print(f"**{count} requests of {case} failed: its figures mean nothing.**\n")
    print("| | connections | requests/s | of the floor | p50 us | x floor | p99 us | x floor |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for case, title in CASES:
        for connections in sorted({c for name, c in rounds if name == case}):
            got = [statistics.median(column) for column in zip(*rounds[case, connections])]
            floor = [statistics.median(column) for column in zip(*rounds[case + "-echo", connections])]
            print(f"| {title} | {connections} | {got[0]:,.0f} | {got[0] / floor[0]:.2f} | {got[1]:,.0f} | "
                  f"{got[1] / floor[1]:.2f} | {got[2]:,.0f} | {got[2] / floor[2]:.2f} |")
            print(f"| &nbsp; floor | {connections} | {floor[0]:,.0f} | | {floor[1]:,.0f} | | {floor[2]:,.0f} | |")
    print("\n| process | peak resident memory, MiB |\n|---|---:|")
    total = 0
    with open(memory, encoding="utf-8") as file:
        for line in file:
            name, kib = line.split()[1], int(line.split()[-1])
            total += kib
            print(f"| {name} | {kib / 1024:.1f} |")
    print(f"| all (shared pages count in each) | {total / 1024:.1f} |")
    print(f"\nThe stripped binary has {int(binary):,} bytes.")


if __name__ == "__main__":
    main()
