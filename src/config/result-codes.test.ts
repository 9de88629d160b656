import { expect, test } from "vitest";
import { fileError, hostStatusOf, ResultError, statusName } from "./result-codes.ts";

test("system errors have VirtualBox's status names", () => {
  const names = {
    ENOENT: "VERR_FILE_NOT_FOUND",
    ENOTDIR: "VERR_PATH_NOT_FOUND",
    EACCES: "VERR_ACCESS_DENIED",
    EPERM: "VERR_ACCESS_DENIED",
    EROFS: "VERR_WRITE_PROTECT",
    EEXIST: "VERR_ALREADY_EXISTS",
    ENOSPC: "VERR_DISK_FULL",
    EISDIR: "VERR_IS_A_DIRECTORY",
    ENAMETOOLONG: "VERR_FILENAME_TOO_LONG",
    EMFILE: "VERR_TOO_MANY_OPEN_FILES",
    EWHATEVER: "VERR_GENERAL_FAILURE",
  };
  for (const [code, name] of Object.entries(names)) expect(statusName({ code }), code).toBe(name);
});

test("the system error behind an image error is found in its cause or in its line", () => {
  expect(hostStatusOf(new Error("no", { cause: { code: "EROFS" } }))).toBe("VERR_WRITE_PROTECT");
  expect(hostStatusOf(new Error("cannot create x: read-only file system (EROFS)"))).toBe("VERR_WRITE_PROTECT");
  expect(hostStatusOf(new Error("cannot create x: too odd"))).toBeUndefined();
});

test("only system errors become file errors", () => {
  const odd = new Error("odd");
  expect(fileError(odd, "Could not do", "/x", "MachineWrap")).toBe(odd);
  const refused = fileError({ code: "EROFS" }, "Could not do", "/x", "MachineWrap") as ResultError;
  expect(refused).toBeInstanceOf(ResultError);
  expect([refused.code, refused.message]).toEqual(["VBOX_E_FILE_ERROR", "Could not do '/x' (VERR_WRITE_PROTECT)"]);
});
