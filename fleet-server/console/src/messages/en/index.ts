// English. Its keys are the keys of every language: a text that another one lacks fails the build (npm run check).
//
// {name} stands for a parameter. Where English tells one from many there are two keys, .one and .other, and tCount()
// chooses between them.

import { city } from "./city";
import { departments } from "./departments";
import { enrolment } from "./enrolment";
import { lamppost } from "./lamppost";
import { life } from "./life";
import { map } from "./map";
import { shell } from "./shell";
import { system } from "./system";

export const en = {
  ...shell,
  ...city,
  ...departments,
  ...enrolment,
  ...lamppost,
  ...life,
  ...map,
  ...system,
} as const;
