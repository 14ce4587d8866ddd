"""Off-the-shelf detectors behind one protocol, and the proposals made from them."""
