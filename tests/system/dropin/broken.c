int f( {
  return undeclared;
}
