/**
 * Workspaces of the CPU grow with its threads. What is planned without a run is planned for this many unless told
 * otherwise, so that a peak is the same on every machine, and the same in every table.
 */
export const plannedThreads = 2;
