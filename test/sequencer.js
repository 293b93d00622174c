import TestSequencer from "@jest/test-sequencer";

/** Folders by how long their files take: whoever starts last must not be the one that all wait for. */
const longestFirst = ["/test/failure/", "/test/integration/", "/test/simulation/", "/test/unit/"];
const rank = ({ path }) => longestFirst.findIndex((folder) => path.includes(folder));

/** Without it a fresh clone, which knows no durations yet, would begin with the largest files. */
export default class LongestFirst extends TestSequencer {
  sort(tests) {
    const known = super.sort(tests);
    return known.sort((one, other) => rank(one) - rank(other));
  }
}
