/**
 * Whether a name from a file is a plain relative path that stays in its folder on every system: parts joined by `/`, none
 * of them empty, `.` or `..`, no backslash, no drive letter, no NUL.
 */
export function isPlainRelativePath(name: string): boolean {
  if (name.includes('\0') || name.includes('\\') || /^[A-Za-z]:/.test(name)) return false;
  return name.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}
