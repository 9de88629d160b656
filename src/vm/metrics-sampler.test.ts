import { expect, test } from "vitest";
import { parseMetricSetup } from "../control/metrics.ts";
import { type MetricTotals, metricTotals, metricValues } from "./metrics-sampler.ts";

const start: MetricTotals = {
  timeMs: 1000,
  userUs: 0,
  systemUs: 0,
  rssBytes: 0,
  readBytes: 1000,
  writtenBytes: 0,
  receivedBytes: 0,
  sentBytes: 0,
};

test("totals become shares of the host's processors and rates", () => {
  const end = {
    ...start,
    timeMs: 3000,
    userUs: 1_000_000,
    systemUs: 200_000,
    rssBytes: 4096,
    readBytes: 3000,
    sentBytes: 50,
  };
  expect(metricValues(start, end, 2)).toEqual({
    "CPU/Load/User": 25,
    "CPU/Load/Kernel": 5,
    "RAM/Usage/Used": 4,
    "Disk/Rate/Read": 1000,
    "Disk/Rate/Write": 0,
    "Net/Rate/Rx": 0,
    "Net/Rate/Tx": 25,
  });
});

test("a machine that was reset or cannot be asked has no negative rates", () => {
  expect(metricValues(start, { ...start, timeMs: 2000, readBytes: 0 }, 1)["Disk/Rate/Read"]).toBe(0);
});

test("drives and network adapters are added up, whatever else is in the tree", () => {
  const counters = {
    drives: { "ide 0.0": { readBytes: 5, writtenBytes: 7 }, "ide 1.0": { readBytes: 1 } },
    network: { 0: { receivedBytes: 3, sentBytes: 4 }, uart: { receivedBytes: { odd: 1 } } },
  };
  expect(metricTotals(counters)).toMatchObject({ readBytes: 6, writtenBytes: 7, receivedBytes: 3, sentBytes: 4 });
  expect(metricTotals(undefined)).toMatchObject({ readBytes: 0, sentBytes: 0 });
});

test("a stored setup is whole numbers within limits, or none", () => {
  expect(parseMetricSetup("2,30")).toEqual({ periodSeconds: 2, samples: 30 });
  for (const text of [undefined, "", "2", "0,1", "1,0", "1,99999", "1,2,3", "-1,2"])
    expect(parseMetricSetup(text), text).toBeUndefined();
});
