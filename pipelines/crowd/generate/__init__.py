"""Made-up street scenes with people whose heads are known. Nobody was photographed."""
