"""placeholder"""

import sys
import time

from tests.simulation.story import Story


def main():
    a, b = int(sys.argv[1]), int(sys.argv[2])
    t = time.process_time()
    bad = 0
    cert = op = 0
    for seed in range(a, b):
        st = Story(seed)
        try:
            st.play()
        except Exception as e:
            bad += 1
            print(seed, type(e).__name__, str(e)[:300])
            if len(sys.argv) > 3:
                print("\n".join(st.told))
                raise
        cert += st.ledger.certain
        op += st.ledger.open_questions
    print(
        "bad",
        bad,
        "of",
        b - a,
        "cpu/seed",
        (time.process_time() - t) / (b - a),
        cert,
        op,
    )


main()
