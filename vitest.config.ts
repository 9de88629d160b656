import { defineConfig } from "vitest/config";

const guests = { testTimeout: 600_000, hookTimeout: 600_000, fileParallelism: true, maxWorkers: 2 };

// Three groups: "unit" lives beside the code and needs nothing; "system" (tests/) may boot guests and call peers; "long" holds
// what takes minutes and shows the same on more machines, engines or inputs (`npm run test:long`).
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["src/**/*.test.ts", "scripts/**/*.test.ts"],
          testTimeout: 60_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "system",
          include: ["tests/**/*.test.ts"],
          exclude: ["tests/**/*.long.test.ts"],
          ...guests,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: "long",
          include: ["tests/**/*.long.test.ts"],
          ...guests,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
