import type { Config } from "../../lib/config.ts";
import { defineMixin } from "../../lib/define.ts";
import { openKeyRing } from "../../lib/personal-data/key-ring.ts";
import { createPersonalData, type PersonalData } from "../../lib/personal-data/personal-data.ts";

/** Gives the gateway the keys of personal data, or keeps it from starting without. */
export const personalData = ({ PERSONAL_DATA_KEYS: source }: Config) =>
  defineMixin<{ personalData: PersonalData }>()({
    async started() {
      this.personalData = createPersonalData(await openKeyRing(source));
    },
  });
