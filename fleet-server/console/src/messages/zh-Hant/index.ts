// Traditional Chinese, as written in Hong Kong.

import type { Messages } from "../types";
import { city } from "./city";
import { departments } from "./departments";
import { enrolment } from "./enrolment";
import { lamppost } from "./lamppost";
import { life } from "./life";
import { map } from "./map";
import { shell } from "./shell";
import { system } from "./system";

export const zhHant: Messages = {
  ...shell,
  ...city,
  ...departments,
  ...enrolment,
  ...lamppost,
  ...life,
  ...map,
  ...system,
};
