/** Every way in which a TypeScript or JavaScript file names another module. */
import ts from 'typescript';

/**
 * Lists a file's imports: static, type-only, re-exports, `import()`, `import('…').Type`, `require()` and reference paths.
 *
 * @returns imports {specifier (null when it is computed), line (from 1)}; isBarrel: it has statements, all re-exports
 */
export function parseImports(path, text) {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const imports = [];

  function add(node, position) {
    const specifier = node !== undefined && ts.isStringLiteralLike(node) ? node.text : null;
    imports.push({ specifier, line: source.getLineAndCharacterOfPosition(position).line + 1 });
  }

  function visit(node) {
    if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier !== undefined) {
      add(node.moduleSpecifier, node.getStart());
    } else if (ts.isImportEqualsDeclaration(node) && ts.isExternalModuleReference(node.moduleReference)) {
      add(node.moduleReference.expression, node.getStart());
    } else if (ts.isImportTypeNode(node)) {
      add(ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, node.getStart());
    } else if (ts.isCallExpression(node)) {
      const isRequire = ts.isIdentifier(node.expression) && node.expression.text === 'require';
      const isResolve =
        ts.isPropertyAccessExpression(node.expression) &&
        ts.isIdentifier(node.expression.expression) &&
        node.expression.expression.text === 'require' &&
        node.expression.name.text === 'resolve';
      if (node.expression.kind === ts.SyntaxKind.ImportKeyword || isRequire || isResolve) {
        add(node.arguments[0], node.getStart());
      }
    }
    ts.forEachChild(node, visit);
  }

  visit(source);
  for (const reference of source.referencedFiles) {
    const specifier = reference.fileName.startsWith('.') ? reference.fileName : `./${reference.fileName}`;
    imports.push({ specifier, line: source.getLineAndCharacterOfPosition(reference.pos).line + 1 });
  }
  const isReExport = (statement) => ts.isExportDeclaration(statement) && statement.moduleSpecifier !== undefined;
  return { imports, isBarrel: source.statements.length > 0 && source.statements.every(isReExport) };
}
