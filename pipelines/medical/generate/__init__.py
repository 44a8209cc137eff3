"""Made-up volumes with labels: nobody was scanned for them, and no organ is what it is called after."""
