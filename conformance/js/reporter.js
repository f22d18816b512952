// Prints the outcome of each scenario as a line of JSON for go test to read.
export default async function * reporter (source) {
  const groups = []
  for await (const { type, data } of source) {
    if (type === 'test:start') groups[data.nesting] = data.name
    if (type === 'test:stderr' || type === 'test:stdout') yield JSON.stringify({ output: data.message }) + '\n'
    if (type !== 'test:pass' && type !== 'test:fail') continue
    // A suite fails with its scenarios; it is told only when it fails by itself.
    const cause = data.details.error?.cause ?? data.details.error
    const suite = data.details.type === 'suite'
    if (suite && (type === 'test:pass' || data.details.error?.failureType === 'subtestsFailed')) continue
    yield JSON.stringify({
      name: [...groups.slice(0, data.nesting), data.name].join('/'),
      failed: type === 'test:fail',
      skipped: data.skip !== undefined || data.todo !== undefined,
      error: type === 'test:fail' ? String(cause?.stack ?? cause) : undefined
    }) + '\n'
  }
}
