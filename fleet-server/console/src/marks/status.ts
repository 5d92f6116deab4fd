// The words of states and qualities, as the API has them.

import type { Schemas } from "../api/client";

export type Status = Schemas["Status"];
export type Quality = Schemas["Quality"];

export const STATUSES: readonly Status[] = ["reporting", "late", "offline", "never"];
export const QUALITIES: readonly Quality[] = ["good", "uncertain", "bad"];
