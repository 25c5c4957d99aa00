// Correlation health.
export default function Propagation() {
  return <h1>Correlation health</h1>;
}
