export default function Cardinality() {
  return <h1>Cardinality</h1>;
}
